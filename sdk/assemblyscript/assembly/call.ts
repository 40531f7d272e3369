import { Bytes, Bytes32, Hash, Key } from "./bytes";

/** What a call is about: `call.kind`. */
export namespace Kind {
  /** An action of a participant: `rule_check`. */
  export const ACTION: u8 = 1;
  /** A change of the room's rules: `rule_change`. */
  export const CHANGE: u8 = 2;
  /** The rule begins to hold: `rule_init`. */
  export const INIT: u8 = 3;
  /** A question of an interface: `rule_query`. */
  export const QUERY: u8 = 4;
}

/** What a `Change` does: `change.operation`. */
export namespace Operation {
  /** A rule is added. */
  export const INSTALL: u8 = 1;
  /** A rule is taken away. */
  export const REMOVE: u8 = 2;
  /** A rule gets another module, and keeps its state. */
  export const REPLACE: u8 = 3;
  /** A rule gets other params, and keeps its state. */
  export const PARAMS: u8 = 4;
  /** The room gets other validators: `params` is the votes that commit, u32, and their keys, 32 bytes each. */
  export const VALIDATORS: u8 = 5;
}

const HEADER: usize = 84;
const KEPT: u8 = 1;

/** What the room hands over: who wants what, where in the history. Made of the address that a rule's function gets. */
@unmanaged
@final
export class Call {
  /** The call at an address. */
  @inline
  static at(address: usize): Call {
    return changetype<Call>(address);
  }

  /** One of `Kind`. */
  get kind(): u8 {
    return load<u8>(changetype<usize>(this), 2);
  }

  /** In `rule_init`: whether the rule's state was kept, as new params and a new module do. */
  get keepsState(): bool {
    return (load<u8>(changetype<usize>(this), 3) & KEPT) != 0;
  }

  /** Index of the block that the entry would become. In `rule_init`, of the first that the rule holds for. */
  get index(): u64 {
    return load<u64>(changetype<usize>(this), 4);
  }

  /** Tree hash of the history before the entry. Zeros in `rule_init`. */
  get previous(): Hash {
    return Bytes32.at(changetype<usize>(this) + 12);
  }

  /** Who signed the entry. Zeros in `rule_init`. */
  get author(): Key {
    return Bytes32.at(changetype<usize>(this) + 44);
  }

  /** The rule's params. */
  get params(): Bytes {
    return new Bytes(changetype<usize>(this) + HEADER, load<i32>(changetype<usize>(this), 76));
  }

  /** What the author says; in `rule_query`, the question. */
  get payload(): Bytes {
    const at = changetype<usize>(this) + HEADER + load<u32>(changetype<usize>(this), 76);
    return new Bytes(at, load<i32>(changetype<usize>(this), 80));
  }
}

/** A change of the room's rules, which `rule_change` has an opinion on. */
@unmanaged
@final
export class Change {
  /** The change that a call of `rule_change` is about. */
  @inline
  static of(call: Call): Change {
    return changetype<Change>(call.payload.at);
  }

  /** One of `Operation`. */
  get operation(): u8 {
    return load<u8>(changetype<usize>(this));
  }

  /** Whether it is about the rule that is asked. */
  get aboutThisRule(): bool {
    return load<u8>(changetype<usize>(this), 1) != 0;
  }

  /** Index of the first block that it holds for. */
  get activation(): u64 {
    return load<u64>(changetype<usize>(this), 2);
  }

  /** Id of the rule that it is about; zeros for an install. */
  get rule(): Hash {
    return Bytes32.at(changetype<usize>(this) + 10);
  }

  /** Hash of the new module; zeros unless install or replace. */
  get module(): Hash {
    return Bytes32.at(changetype<usize>(this) + 42);
  }

  /** Name of the rule. */
  get name(): Bytes {
    return new Bytes(changetype<usize>(this) + 82, load<i32>(changetype<usize>(this), 74));
  }

  /** The new params. */
  get params(): Bytes {
    const at = changetype<usize>(this) + 82 + load<u32>(changetype<usize>(this), 74);
    return new Bytes(at, load<i32>(changetype<usize>(this), 78));
  }
}
