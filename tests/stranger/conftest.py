pytest_plugins = ["roadster_sandbox.pytest_plugin"]
