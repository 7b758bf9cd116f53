# bulkhead-sandboxd-parts: sandboxd's pure decisions (spec, cni, files) without its daemon, and their unit tests.
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson)
pkg_check_modules(YAML REQUIRED IMPORTED_TARGET yaml-0.1)
add_library(bulkhead-sandboxd-parts STATIC
  ${CMAKE_CURRENT_LIST_DIR}/cdi/check.c
  ${CMAKE_CURRENT_LIST_DIR}/cdi/edits.c
  ${CMAKE_CURRENT_LIST_DIR}/cdi/name.c
  ${CMAKE_CURRENT_LIST_DIR}/cdi/registry.c
  ${CMAKE_CURRENT_LIST_DIR}/cdi/yaml.c
  ${CMAKE_CURRENT_LIST_DIR}/cni/compose.c
  ${CMAKE_CURRENT_LIST_DIR}/cni/network.c
  ${CMAKE_CURRENT_LIST_DIR}/cni/plugin_error.c
  ${CMAKE_CURRENT_LIST_DIR}/cni/result.c
  ${CMAKE_CURRENT_LIST_DIR}/cni/result_reshape.c
  ${CMAKE_CURRENT_LIST_DIR}/cni/runtime_config.c
  ${CMAKE_CURRENT_LIST_DIR}/cni/version.c
  ${CMAKE_CURRENT_LIST_DIR}/files/files.c
  ${CMAKE_CURRENT_LIST_DIR}/files/user.c
  ${CMAKE_CURRENT_LIST_DIR}/files/user_lines.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/apparmor.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/capability.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/cgroup_name.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/exec.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/linux.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/message.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/mounts.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/namespaces.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/path.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/process.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/resources.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/seccomp.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/seccomp_default.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/seccomp_profile.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/spec.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/stop_signal.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/user_namespace.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/user_request.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/validate.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/validate_container.c
  ${CMAKE_CURRENT_LIST_DIR}/spec/validate_pod.c)
target_link_libraries(bulkhead-sandboxd-parts PUBLIC bulkhead-proto bulkhead-common PkgConfig::JANSSON PkgConfig::YAML)

if(COMMAND bulkhead_unit_test)
  foreach(test IN ITEMS cdi/cdi cni/cni cni/result files/files files/user spec/cgroup_name spec/resources spec/seccomp spec/spec spec/user_namespace spec/validate)
    string(REPLACE "/" "-" name ${test})
    bulkhead_unit_test(sandboxd-${name} SOURCES sandboxd/${test}_test.c LIBS bulkhead-sandboxd-parts)
  endforeach()
endif()
