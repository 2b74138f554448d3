# One static library a folder of userspace/, one test executable a folder of tests/unit/.

add_library(causeway_flags INTERFACE)
target_compile_options(causeway_flags INTERFACE
  -Wall -Wextra -Wshadow -Werror
  $<$<COMPILE_LANGUAGE:CXX>:-Wconversion -Wnon-virtual-dtor>
  # Unity builds compile a .cpp as if it were included: its anonymous namespaces are local all the same.
  $<$<COMPILE_LANG_AND_ID:CXX,GNU>:-Wno-subobject-linkage>
  -fno-omit-frame-pointer)
target_compile_definitions(causeway_flags INTERFACE CAUSEWAY_VERSION="${PROJECT_VERSION}")
target_include_directories(causeway_flags INTERFACE ${PROJECT_SOURCE_DIR}/userspace ${PROJECT_SOURCE_DIR}/include)
if(CAUSEWAY_SANITIZE)
  target_compile_options(causeway_flags INTERFACE -fsanitize=${CAUSEWAY_SANITIZE} -fno-sanitize-recover=all)
  target_link_options(causeway_flags INTERFACE -fsanitize=${CAUSEWAY_SANITIZE})
endif()

# Tests are compiled once and run once: optimising them costs more than it gives. -O1 takes the pools of coroutine frames
# for mismatched operators.
set(CAUSEWAY_TEST_FLAGS $<$<CONFIG:RelWithDebInfo>:-O1> -Wno-mismatched-new-delete)

# causeway_library(NAME [libraries it links...]): static library cw_NAME of every .cpp in this folder but main.cpp.
function(causeway_library name)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/*.cpp)
  list(FILTER sources EXCLUDE REGEX "/main\\.cpp$")
  add_library(cw_${name} STATIC ${sources})
  target_link_libraries(cw_${name} PUBLIC causeway_flags ${ARGN})
endfunction()

# causeway_unit_tests(FOLDER [further libraries...]): executable FOLDER_test of tests/unit/FOLDER/*_test.cpp, run by ctest.
function(causeway_unit_tests folder)
  file(GLOB sources CONFIGURE_DEPENDS ${PROJECT_SOURCE_DIR}/tests/unit/${folder}/*.cpp)
  if(NOT sources)
    return()
  endif()
  add_executable(${folder}_test ${sources})
  # For tests that hold a page of docs/ against the table it is made from.
  target_compile_definitions(${folder}_test PRIVATE CAUSEWAY_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  target_compile_options(${folder}_test PRIVATE ${CAUSEWAY_TEST_FLAGS})
  target_link_libraries(${folder}_test PRIVATE cw_${folder} ${ARGN} GTest::gmock GTest::gtest_main)
  add_test(NAME unit.${folder} COMMAND ${folder}_test)
  set_tests_properties(unit.${folder} PROPERTIES LABELS unit TIMEOUT 300)
endfunction()

find_program(CLANG NAMES clang clang-14 REQUIRED)
find_program(BPFTOOL NAMES bpftool PATHS /usr/sbin REQUIRED)

# causeway_bpf_skeleton(NAME FILES...): target NAME_skeleton, which makes NAME.skel.h (struct NAME_bpf) in bpf/ of this
# binary folder, from .bpf.c files linked into one object.
function(causeway_bpf_skeleton name)
  set(out ${CMAKE_CURRENT_BINARY_DIR}/bpf)
  file(MAKE_DIRECTORY ${out})
  set(objects)
  foreach(source IN LISTS ARGN)
    cmake_path(GET source STEM LAST_ONLY stem)
    # -target bpf knows no machine: the user API's asm/ headers are the build machine's.
    add_custom_command(
      OUTPUT ${out}/${stem}.o
      COMMAND ${CLANG} -O2 -g -target bpf -mcpu=v3 -Wall -Wextra -Werror -Wno-unused-function
              -isystem /usr/include/${CMAKE_LIBRARY_ARCHITECTURE} -I${PROJECT_SOURCE_DIR}/include
              -I${PROJECT_SOURCE_DIR}/bpf -MD -MF ${out}/${stem}.d -MT ${out}/${stem}.o -c ${source} -o ${out}/${stem}.o
      DEPENDS ${source}
      DEPFILE ${out}/${stem}.d
      COMMENT "BPF ${stem}.c" VERBATIM)
    list(APPEND objects ${out}/${stem}.o)
  endforeach()
  add_custom_command(
    OUTPUT ${out}/${name}.skel.h
    COMMAND ${BPFTOOL} gen object ${out}/${name}.linked.o ${objects}
    COMMAND ${BPFTOOL} gen skeleton ${out}/${name}.linked.o name ${name}_bpf > ${out}/${name}.skel.h
    DEPENDS ${objects}
    COMMENT "BPF skeleton ${name}" VERBATIM)
  add_custom_target(${name}_skeleton DEPENDS ${out}/${name}.skel.h)
endfunction()
