// Many strings as two arguments of a script: their lengths in bytes, and all of them in a row. What the driver and Redis spend on an
// argument is more than what they spend on its bytes.

export type Part = string | Uint8Array

/** Gives `'3 5'` and the bytes. */
export function pack(parts: readonly Part[]): readonly [lengths: string, bytes: Buffer] {
  let most = 0
  // A UTF-16 unit takes three bytes at most.
  for (const part of parts) most += typeof part === 'string' ? part.length * 3 : part.length
  const bytes = Buffer.allocUnsafe(most)
  const lengths: number[] = []
  let at = 0
  for (const part of parts) {
    if (typeof part !== 'string') bytes.set(part, at)
    const length = typeof part === 'string' ? bytes.write(part, at) : part.length
    lengths.push(length)
    at += length
  }
  return [lengths.join(' '), bytes.subarray(0, at)]
}

/** Lua: `parts` from the two arguments at `at` and `at + 1`. */
export const unpackParts = (at: number) => `
local parts, from = {}, 1
for length in string.gmatch(ARGV[${at}], '%d+') do
  parts[#parts + 1] = string.sub(ARGV[${at + 1}], from, from + length - 1)
  from = from + length
end
`
