# How every target of the project is made: one function a kind.
find_package(Threads REQUIRED)
find_package(OpenSSL 3.0 REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json url)
find_package(fmt REQUIRED)
find_package(spdlog REQUIRED)
find_package(SQLite3 REQUIRED)
find_package(CLI11 REQUIRED)
find_package(prometheus-cpp REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(tomlplusplus REQUIRED IMPORTED_TARGET tomlplusplus)
pkg_check_modules(hiredis REQUIRED IMPORTED_TARGET hiredis)

add_library(gatehouse_options INTERFACE)
target_include_directories(gatehouse_options INTERFACE ${PROJECT_SOURCE_DIR}/include)
# GCC 12 sees overlapping and overlong copies in std::string where there are none (GCC bugs 105651, 105329), the more
# since <string> is precompiled; AddressSanitizer looks for real ones.
target_compile_options(gatehouse_options INTERFACE -Wall -Wextra -Wpedantic -Wshadow -Wnon-virtual-dtor -Wno-missing-field-initializers
  $<$<CXX_COMPILER_ID:GNU>:-Wno-restrict -Wno-array-bounds -Wno-stringop-overflow -Wno-stringop-overread>
  $<$<BOOL:${GATEHOUSE_WERROR}>:-Werror>)
target_compile_definitions(gatehouse_options INTERFACE
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_BEAST_SEPARATE_COMPILATION
  GATEHOUSE_VERSION="${PROJECT_VERSION}")
target_link_libraries(gatehouse_options INTERFACE Threads::Threads)
if(GATEHOUSE_SANITIZE)
  target_compile_options(gatehouse_options INTERFACE -fsanitize=${GATEHOUSE_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(gatehouse_options INTERFACE -fsanitize=${GATEHOUSE_SANITIZE})
  # The check of vtable pointers opens a pipe to look at memory: it cries wolf when files run out,
  # which a test makes happen.
  target_compile_options(gatehouse_options INTERFACE -fno-sanitize=vptr)
  # A look at each pointer takes a fifth of the compiler's time. AddressSanitizer stops at a null pointer too; the fuzz
  # targets keep both checks.
  if(NOT GATEHOUSE_FUZZ AND GATEHOUSE_SANITIZE MATCHES undefined)
    target_compile_options(gatehouse_options INTERFACE -fno-sanitize=null,alignment)
  endif()
endif()

# Tests themselves are not instrumented for undefined behaviour, what they test is: another fifth.
add_library(gatehouse_tests INTERFACE)
target_link_libraries(gatehouse_tests INTERFACE gatehouse_options)
if(GATEHOUSE_SANITIZE MATCHES undefined)
  target_compile_options(gatehouse_tests INTERFACE -fno-sanitize=undefined)
endif()

if(GATEHOUSE_FUZZ)
  target_compile_options(gatehouse_options INTERFACE -fsanitize=fuzzer-no-link)   # coverage of the libraries
endif()

# What makes a fault in memory harder to use; tests/support/check_hardening.py reads the program for it. Sanitizers look
# at memory themselves. -fcf-protection marks every object for IBT and SHSTK. The program's note says SHSTK alone: Debian
# 12's start file has neither mark, keeps the shadow stack's rule all the same, but does not begin with endbr64.
add_library(gatehouse_hardened INTERFACE)
if(NOT GATEHOUSE_SANITIZE)
  target_compile_options(gatehouse_hardened INTERFACE -fPIE -fstack-protector-strong -fstack-clash-protection
    $<$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},x86_64>:-fcf-protection=full>
    $<$<NOT:$<CONFIG:Debug>>:-U_FORTIFY_SOURCE;-D_FORTIFY_SOURCE=2>)   # it needs an optimising compiler
  target_link_options(gatehouse_hardened INTERFACE -pie -Wl,-z,relro,-z,now,-z,noexecstack
    $<$<STREQUAL:${CMAKE_SYSTEM_PROCESSOR},x86_64>:-Wl,-z,shstk>)
endif()

# What nearly every file reads, compiled once. The release preset goes without (CMAKE_DISABLE_PRECOMPILE_HEADERS):
# a file that forgets an include of its own fails there.
file(CONFIGURE OUTPUT ${PROJECT_BINARY_DIR}/precompiled.cpp CONTENT "")
function(gatehouse_precompile name)
  add_library(${name} OBJECT ${PROJECT_BINARY_DIR}/precompiled.cpp)
  target_link_libraries(${name} PRIVATE gatehouse_options fmt::fmt)
  target_precompile_headers(${name} PRIVATE <algorithm> <array> <atomic> <boost/system/error_code.hpp> <chrono> <fmt/format.h>
    <functional> <map> <memory> <optional> <set> <string> <string_view> <unordered_map> <vector> ${ARGN})
endfunction()
gatehouse_precompile(gatehouse_precompiled)
target_link_libraries(gatehouse_precompiled PRIVATE gatehouse_hardened)

# gatehouse_module(NAME SOURCES a.cpp ... LINKS gatehouse::other ...): one static library a module.
function(gatehouse_module name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  add_library(gatehouse_${name} STATIC ${arg_SOURCES})
  add_library(gatehouse::${name} ALIAS gatehouse_${name})
  target_include_directories(gatehouse_${name} PRIVATE ${CMAKE_CURRENT_SOURCE_DIR})
  target_link_libraries(gatehouse_${name} PUBLIC gatehouse_options ${arg_LINKS} PRIVATE gatehouse_hardened)
  target_precompile_headers(gatehouse_${name} REUSE_FROM gatehouse_precompiled)
endfunction()

# gatehouse_test(NAME LABEL unit SOURCES ... LINKS ...): one Catch2 program, one ctest entry.
function(gatehouse_test name)
  cmake_parse_arguments(arg "" "LABEL;TIMEOUT" "SOURCES;LINKS" ${ARGN})
  add_executable(${name} ${arg_SOURCES} $<TARGET_OBJECTS:gatehouse_catch_main>)
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(${name} PRIVATE gatehouse_options ${arg_LINKS} gatehouse_tests)
  target_precompile_headers(${name} REUSE_FROM gatehouse_precompiled_tests)
  add_test(NAME ${name} COMMAND ${name})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  # It computes; end-to-end tests mostly wait. scripts/test gives each core three places.
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABEL}" TIMEOUT ${arg_TIMEOUT} PROCESSORS 3)
endfunction()

# gatehouse_fuzz(NAME SOURCES ... LINKS ...): a libFuzzer target; without clang a program that replays its corpus.
function(gatehouse_fuzz name)
  cmake_parse_arguments(arg "" "" "SOURCES;LINKS" ${ARGN})
  if(GATEHOUSE_FUZZ)
    add_executable(${name} ${arg_SOURCES})
    target_compile_options(${name} PRIVATE -fsanitize=fuzzer)
    target_link_options(${name} PRIVATE -fsanitize=fuzzer)
    if(NOT TARGET fuzzers)
      add_custom_target(fuzzers)   # what clang has to compile: pure modules, no coroutine
    endif()
    add_dependencies(fuzzers ${name})
  else()
    add_executable(${name} ${arg_SOURCES} ${PROJECT_SOURCE_DIR}/tests/fuzz/replay_main.cpp)
    add_test(NAME ${name}_corpus COMMAND ${name} ${PROJECT_SOURCE_DIR}/tests/fuzz/corpus/${name})
    set_tests_properties(${name}_corpus PROPERTIES LABELS fuzz TIMEOUT 120)
  endif()
  target_link_libraries(${name} PRIVATE gatehouse_options ${arg_LINKS})
endfunction()
