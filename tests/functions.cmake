# How a folder registers its tests: cmocka programs, run as root, unit tests without any part of the system running.
pkg_check_modules(CMOCKA REQUIRED cmocka)

function(bulkhead_test kind name)
  cmake_parse_arguments(TEST "" "TIMEOUT" "SOURCES;LIBS" ${ARGN})
  list(TRANSFORM TEST_SOURCES PREPEND ${PROJECT_SOURCE_DIR}/tests/${kind}/)
  add_executable(${kind}-${name} ${TEST_SOURCES})
  target_link_libraries(${kind}-${name} PRIVATE ${TEST_LIBS} ${CMOCKA_LIBRARIES})
  set_target_properties(${kind}-${name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${PROJECT_BINARY_DIR}/tests)
  add_test(NAME ${kind}-${name} COMMAND ${kind}-${name})
  if(NOT TEST_TIMEOUT)
    set(TEST_TIMEOUT 300) # a limit against hangs, never a measure
  endif()
  set_tests_properties(${kind}-${name} PROPERTIES TIMEOUT ${TEST_TIMEOUT} LABELS ${kind}
    ENVIRONMENT "BULKHEAD_PROGRAMS=${PROJECT_BINARY_DIR}/bin;LSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/lsan.supp")
endfunction()

# bulkhead_unit_test(NAME SOURCES path-below-tests/unit... LIBS ...)
function(bulkhead_unit_test name)
  bulkhead_test(unit ${name} ${ARGN})
endfunction()

# bulkhead_integration_test(NAME SOURCES path-below-tests/integration... LIBS ... [TIMEOUT seconds])
function(bulkhead_integration_test name)
  bulkhead_test(integration ${name} ${ARGN})
endfunction()
