// What a rule imports: `import { Call, accept, json, reject } from "quorate-rule/assembly"`.

import * as json from "./json";

export { requires_history, requires_state, rule_abi_v1, rule_alloc } from "./entry";
export { Bytes, Bytes32, Hash, Key } from "./bytes";
export { Call, Change, Kind, Operation } from "./call";
export { json };
export { Slot, slot, state } from "./state";
export { blake2b, sha256, verify } from "./crypto";
export { Action, action, block } from "./history";
export { Text } from "./text";
export { MALFORMED, accept, answer, log, logWith, malformed, reject, rejectWith } from "./verdict";
