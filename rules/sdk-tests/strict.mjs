// A second reader of the SDK's strict JSON, as plain as it can be: JSON.parse after the rules it does not have.

/** Whether bytes are strict JSON. */
export function strict(bytes) {
  let text;
  try {
    text = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    JSON.parse(text);
  } catch {
    return false;
  }
  // From here on it is JSON, so tokens can be taken one after the other.
  const open = [];
  for (const [token] of text.matchAll(/"(?:[^"\\]|\\.)*"|[[\]{},:]/gs)) {
    const inner = open.at(-1);
    if (token === "{") open.push({ names: new Set(), wantsName: true });
    else if (token === "[") open.push({ names: undefined });
    else if (token === "}" || token === "]") open.pop();
    else if (token === "," && inner.names) inner.wantsName = true;
    else if (token[0] === '"') {
      if (!wellFormed(token)) return false;
      if (inner?.names && inner.wantsName) {
        if (token.includes("\\") || inner.names.has(token)) return false;
        inner.names.add(token);
        inner.wantsName = false;
      }
    }
    if (open.length > 32) return false;
  }
  return true;
}

// No half of a surrogate pair, and no pair made of an escape and something else.
function wellFormed(token) {
  const units = [...token.matchAll(/\\u([0-9a-fA-F]{4})|\\.|[^\\]/gsu)].map(([, hex]) => (hex ? parseInt(hex, 16) : 0));
  return units.every((unit, i) => {
    if (unit >= 0xd800 && unit < 0xdc00) return units[i + 1] >= 0xdc00 && units[i + 1] < 0xe000;
    if (unit >= 0xdc00 && unit < 0xe000) return units[i - 1] >= 0xd800 && units[i - 1] < 0xdc00;
    return true;
  });
}
