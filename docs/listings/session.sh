sockhost status                        # a table; --json for programs
sockhost send run/kv.sock 'set a 1'    # ok
sockhost send run/kv.sock 'get a'      # 1
sockhost send run/kv.sock 'incr a'     # 2
sockhost restart kv
sockhost logs valkey
sockhost stop valkey
sockhost start valkey
sockhost check examples/quickstart/sockhost.toml
sockhost shutdown
