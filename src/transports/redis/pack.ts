// Many strings as one argument of a script: a MessagePack array of strings, which Lua unpacks in one call. What the driver and Redis
// spend on an argument is more than what they spend on its bytes.
//
//   dd <count, 4 bytes>  db <length, 4 bytes> <bytes>  db …       numbers are big endian
const headBytes = 5

export type Part = string | Uint8Array

/** For `cmsgpack.unpack`, which gives a table of strings, bytes as they are. */
export function pack(parts: readonly Part[]): Buffer {
  const lengths = parts.map((part) => (typeof part === 'string' ? Buffer.byteLength(part) : part.length))
  const packed = Buffer.allocUnsafe(lengths.reduce((sum, length) => sum + headBytes + length, headBytes))
  let at = writeHead(packed, 0xdd, parts.length, 0)
  for (let i = 0; i < parts.length; i++) {
    const [part = '', length = 0] = [parts[i], lengths[i]]
    at = writeHead(packed, 0xdb, length, at)
    if (typeof part === 'string') packed.write(part, at)
    else packed.set(part, at)
    at += length
  }
  return packed
}

function writeHead(packed: Buffer, kind: number, count: number, at: number): number {
  packed[at] = kind
  packed.writeUInt32BE(count, at + 1)
  return at + headBytes
}
