// The program: hands the arguments to the command line, and it the server.
#include <gatehouse/cli/run.hpp>
#include <gatehouse/server/node.hpp>

int main(int argc, char** argv) {
    return gatehouse::cli::run(argc, argv, gatehouse::server::serve);
}
