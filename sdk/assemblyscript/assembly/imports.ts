// The functions that a room offers to a rule, as they are. `at` is an address, `out` one to write to, `cap` the room there.

// @ts-ignore: decorator
@external("rule_v1", "get_block")
export declare function get_block(index: i64, out: usize, cap: i32): i32;

// @ts-ignore: decorator
@external("rule_v1", "state_get")
export declare function state_get(key: usize, keySize: i32, out: usize, cap: i32): i32;

// @ts-ignore: decorator
@external("rule_v1", "state_set")
export declare function state_set(key: usize, keySize: i32, at: usize, size: i32): void;

// @ts-ignore: decorator
@external("rule_v1", "state_del")
export declare function state_del(key: usize, keySize: i32): void;

// @ts-ignore: decorator
@external("rule_v1", "fail")
export declare function fail(at: usize, size: i32): void;

// @ts-ignore: decorator
@external("rule_v1", "log")
export declare function log(at: usize, size: i32): void;

// @ts-ignore: decorator
@external("rule_v1", "blake2b_256")
export declare function blake2b_256(at: usize, size: i32, out: usize): void;

// @ts-ignore: decorator
@external("rule_v1", "sha256")
export declare function sha256(at: usize, size: i32, out: usize): void;

// @ts-ignore: decorator
@external("rule_v1", "ed25519_verify")
export declare function ed25519_verify(key: usize, at: usize, size: i32, signature: usize): i32;
