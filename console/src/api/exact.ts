// Reads JSON so that whole micro-points stay exact: a JavaScript number holds 53 bits, a balance 63.

const MICROS = /("[A-Za-z_]*[mM]icros"\s*:\s*)(-?\d+)(?=\s*[,}\]])/g;

/** `JSON.parse`, with every `…_micros` integer as a string of its digits. */
export function parseExactly(text: string): unknown {
  return JSON.parse(text.replace(MICROS, '$1"$2"'));
}
