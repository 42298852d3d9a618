// The program: hands the arguments to the command line, and it the server.
#include <gatehouse/cli/run.hpp>
#include <gatehouse/server/node.hpp>
#include <gatehouse/tls/memory.hpp>

int main(int argc, char** argv) {
    gatehouse::tls::use_own_memory();
    return gatehouse::cli::run(argc, argv, gatehouse::server::serve);
}
