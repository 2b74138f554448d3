# Debian 12's packages; tools/packages lists them.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
find_package(OpenSSL REQUIRED)
find_package(spdlog REQUIRED)
find_package(fmt REQUIRED)
find_package(Protobuf REQUIRED)
find_package(Boost 1.81 REQUIRED COMPONENTS json)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3)
pkg_check_modules(LIBBPF REQUIRED IMPORTED_TARGET libbpf)
if(CAUSEWAY_TESTS)
  find_package(GTest REQUIRED)
endif()

# Asio and Beast are compiled once here (separate compilation), so that no other file instantiates their bodies.
add_library(cw_boost STATIC ${CMAKE_CURRENT_LIST_DIR}/boost_asio.cpp ${CMAKE_CURRENT_LIST_DIR}/boost_beast.cpp)
target_compile_definitions(cw_boost PUBLIC
  BOOST_ASIO_SEPARATE_COMPILATION BOOST_BEAST_SEPARATE_COMPILATION BOOST_ASIO_NO_DEPRECATED BOOST_ASIO_DISABLE_BOOST_REGEX)
target_link_libraries(cw_boost PUBLIC Boost::boost Boost::json Threads::Threads)
if(CAUSEWAY_SANITIZE)
  target_compile_options(cw_boost PRIVATE -fsanitize=${CAUSEWAY_SANITIZE})
endif()
