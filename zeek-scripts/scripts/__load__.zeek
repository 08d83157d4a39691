# The plugin does nothing before its scripts start it: @load serveflow.
