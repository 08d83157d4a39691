@load ./types
