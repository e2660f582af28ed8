# Flags shared by everything, and aid_module(): a static library that links only what it declares.
# The declarations are also written to ${CMAKE_BINARY_DIR}/modules.txt, which tests/tidy.c holds the includes against.

add_library(aid_flags INTERFACE)
target_include_directories(aid_flags INTERFACE ${PROJECT_SOURCE_DIR}/src)
target_compile_definitions(aid_flags INTERFACE _POSIX_C_SOURCE=200809L)
target_compile_options(aid_flags INTERFACE -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Wstrict-prototypes $<$<C_COMPILER_ID:GNU>:-Wno-format-truncation>
    -ffp-contract=off -fno-math-errno -fno-trapping-math -fno-omit-frame-pointer -fvisibility=hidden)
if(AID_WERROR)
    target_compile_options(aid_flags INTERFACE -Werror)
endif()
if(AID_SANITIZE)
    target_compile_options(aid_flags INTERFACE -fsanitize=${AID_SANITIZE} -fno-sanitize-recover=all)
    target_link_options(aid_flags INTERFACE -fsanitize=${AID_SANITIZE})
    target_compile_definitions(aid_flags INTERFACE AID_SANITIZED=1)
endif()
if(AID_COVERAGE)
    target_compile_options(aid_flags INTERFACE --coverage -fprofile-update=atomic) # counts of threads
    target_link_options(aid_flags INTERFACE --coverage)
endif()

find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)
pkg_check_modules(cfitsio REQUIRED IMPORTED_TARGET cfitsio)
pkg_check_modules(wcslib REQUIRED IMPORTED_TARGET wcslib)
pkg_check_modules(fftw3f REQUIRED IMPORTED_TARGET fftw3f)
pkg_check_modules(erfa REQUIRED IMPORTED_TARGET erfa)
pkg_check_modules(jansson REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(expat REQUIRED IMPORTED_TARGET expat)
pkg_check_modules(libpng REQUIRED IMPORTED_TARGET libpng)
pkg_check_modules(libseccomp REQUIRED IMPORTED_TARGET libseccomp)
pkg_check_modules(libcrypto REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(zlib REQUIRED IMPORTED_TARGET zlib)
find_library(SEP_LIBRARY sep REQUIRED) # libsep ships no .pc file

set(modules_file ${CMAKE_BINARY_DIR}/modules.txt)
file(WRITE ${modules_file} "")

# aid_module(core/sky DEPENDS core/base EXTERNAL PkgConfig::wcslib): every .c file of the folder.
# The library of folder core/sky is called aid_core_sky.
function(aid_module folder)
    cmake_parse_arguments(M "" "" "DEPENDS;EXTERNAL" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${folder}/*.c)
    string(REPLACE "/" "_" name aid_${folder})
    list(TRANSFORM M_DEPENDS REPLACE "/" "_" OUTPUT_VARIABLE depends)
    list(TRANSFORM depends PREPEND aid_)
    add_library(${name} STATIC ${sources})
    target_link_libraries(${name} PUBLIC aid_flags ${depends} PRIVATE ${M_EXTERNAL} m)
    list(JOIN M_DEPENDS " " depends_text)
    file(APPEND ${modules_file} "${folder}: ${depends_text}\n")
endfunction()

# aid_program(astrid apps/cli DEPENDS core/base ...): every .c file of the folder, as an executable.
function(aid_program name folder)
    cmake_parse_arguments(M "" "" "DEPENDS;EXTERNAL" ${ARGN})
    file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/src/${folder}/*.c)
    list(TRANSFORM M_DEPENDS REPLACE "/" "_" OUTPUT_VARIABLE depends)
    list(TRANSFORM depends PREPEND aid_)
    add_executable(${name} ${sources})
    target_link_libraries(${name} PRIVATE aid_flags ${depends} ${M_EXTERNAL} Threads::Threads m)
    list(JOIN M_DEPENDS " " depends_text)
    file(APPEND ${modules_file} "${folder}: ${depends_text}\n")
endfunction()
