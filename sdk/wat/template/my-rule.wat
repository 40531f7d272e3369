;; A rule for a conversation: at most 280 bytes at once, and nobody speaks twice in a row.
(module
  ;; What a room offers. What is not needed can go; `state_*` needs the marker `requires_state`.
  (import "rule_v1" "state_get" (func $state_get (param $key i32) (param $key_size i32) (param $out i32) (param $cap i32) (result i32)))
  (import "rule_v1" "state_set" (func $state_set (param $key i32) (param $key_size i32) (param $value i32) (param $size i32)))
  (import "rule_v1" "fail" (func $fail (param $text i32) (param $size i32)))

  (memory (export "memory") 1)
  (data (i32.const 0) "last")                              ;; key of the state: who spoke last
  (data (i32.const 8) "at most 280 bytes")                 ;; 17 bytes
  (data (i32.const 32) "somebody else has to speak first") ;; 32 bytes
  ;; 64 to 95: room for a key. From 128 on: what rule_alloc hands out.

  (func (export "rule_abi_v1"))
  (func (export "requires_state"))

  ;; Where the room puts the call. Each call has an instance of its own, so one place is enough.
  (func (export "rule_alloc") (param $size i32) (result i32)
    (local $missing i32)
    (local.set $missing
      (i32.sub
        (i32.shr_u (i32.add (local.get $size) (i32.const 65663)) (i32.const 16)) ;; pages for 128 + size bytes
        (memory.size)))
    (if (i32.gt_s (local.get $missing) (i32.const 0))
      (then (if (i32.lt_s (memory.grow (local.get $missing)) (i32.const 0)) (then (unreachable)))))
    (i32.const 128))

  ;; The call: abi u16, kind u8, flags u8, index u64 at 4, previous tree hash at 12, author at 44,
  ;; length of the params u32 at 76, length of the payload u32 at 80, the params at 84, then the payload.
  (func (export "rule_check") (param $at i32) (param $size i32) (result i32)
    (if (i32.gt_u (i32.load offset=80 align=1 (local.get $at)) (i32.const 280))
      (then
        (call $fail (i32.const 8) (i32.const 17))
        (return (i32.const 2))))
    (if (i32.eq (call $state_get (i32.const 0) (i32.const 4) (i32.const 64) (i32.const 32)) (i32.const 32))
      (then
        (if (call $same (i32.const 64) (i32.add (local.get $at) (i32.const 44)))
          (then
            (call $fail (i32.const 32) (i32.const 32))
            (return (i32.const 3))))))
    (call $state_set (i32.const 0) (i32.const 4) (i32.add (local.get $at) (i32.const 44)) (i32.const 32))
    (i32.const 0))

  ;; Whether 32 bytes at two addresses are the same.
  (func $same (param $a i32) (param $b i32) (result i32)
    (local $i i32)
    (loop $next
      (if (i64.ne
            (i64.load align=1 (i32.add (local.get $a) (local.get $i)))
            (i64.load align=1 (i32.add (local.get $b) (local.get $i))))
        (then (return (i32.const 0))))
      (local.set $i (i32.add (local.get $i) (i32.const 8)))
      (br_if $next (i32.lt_u (local.get $i) (i32.const 32))))
    (i32.const 1))
)
