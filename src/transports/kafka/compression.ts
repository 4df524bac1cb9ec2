import * as zlib from 'node:zlib'

const codecs = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const

/** A batch's records. Throws an Error that names the codec for one that is unknown, or when the bytes are damaged. */
export function decompress(codec: number, bytes: Buffer): Buffer {
  switch (codecs[codec]) {
    case 'gzip':
      return zlib.gunzipSync(bytes)
    case 'zstd':
      return zlib.zstdDecompressSync(bytes)
    case 'snappy':
      return unsnappy(bytes)
    case 'lz4':
      return unlz4(bytes)
    default:
      throw new Error(`it is compressed with codec ${codec}, which nobody knows`)
  }
}

const xerialMagic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])

/** Java wraps snappy in blocks of its own (xerial: magic, two versions, then int32 length and block); others do not. */
function unsnappy(bytes: Buffer): Buffer {
  if (!bytes.subarray(0, 8).equals(xerialMagic)) return unsnappyBlock(bytes)
  const blocks: Buffer[] = []
  for (let at = 16; at + 4 <= bytes.length; ) {
    const length = bytes.readInt32BE(at)
    blocks.push(unsnappyBlock(bytes.subarray(at + 4, at + 4 + length)))
    at += 4 + length
  }
  return Buffer.concat(blocks)
}

/** https://github.com/google/snappy/blob/main/format_description.txt */
function unsnappyBlock(bytes: Buffer): Buffer {
  let at = 0
  let size = 0
  for (let shift = 0; ; shift += 7) {
    const byte = byteAt(bytes, at++)
    size |= (byte & 0x7f) << shift
    if (byte < 0x80) break
  }
  const out = createOutput(size)
  while (at < bytes.length) {
    const tag = byteAt(bytes, at++)
    const kind = tag & 3
    if (kind === 0) {
      let length = tag >>> 2
      if (length >= 60) {
        const more = length - 59
        length = bytes.readUIntLE(at, more)
        at += more
      }
      out.literal(bytes, at, length + 1)
      at += length + 1
    } else if (kind === 1) {
      out.copy(((tag >>> 5) << 8) | byteAt(bytes, at++), ((tag >>> 2) & 7) + 4)
    } else {
      const width = kind === 2 ? 2 : 4
      out.copy(bytes.readUIntLE(at, width), (tag >>> 2) + 1)
      at += width
    }
  }
  return out.finished()
}

/** https://github.com/lz4/lz4/blob/dev/doc/lz4_Frame_format.md; checksums are not compared: the batch has its own. */
function unlz4(bytes: Buffer): Buffer {
  if (bytes.readUInt32LE(0) !== 0x184d2204) throw new Error('it is damaged: no LZ4 frame')
  const flags = byteAt(bytes, 4)
  const maxBlock = 1 << (8 + 2 * ((byteAt(bytes, 5) >>> 4) & 7))
  let at = 7 + ((flags & 8) === 0 ? 0 : 8)
  const blockChecksum = (flags & 0x10) === 0 ? 0 : 4
  const out = createOutput(maxBlock)
  for (;;) {
    const header = bytes.readUInt32LE(at)
    at += 4
    if (header === 0) return out.finished()
    const length = header & 0x7fffffff
    if (header >>> 31 === 1) out.literal(bytes, at, length)
    else unlz4Block(bytes.subarray(at, at + length), out)
    at += length + blockChecksum
  }
}

function unlz4Block(bytes: Buffer, out: Output): void {
  let at = 0
  const longer = (length: number): number => {
    let total = length
    for (let byte = 255; byte === 255; total += byte) byte = byteAt(bytes, at++)
    return total
  }
  while (at < bytes.length) {
    const token = byteAt(bytes, at++)
    const literal = token >>> 4 === 15 ? longer(15) : token >>> 4
    out.literal(bytes, at, literal)
    at += literal
    if (at >= bytes.length) return
    const back = bytes.readUInt16LE(at)
    at += 2
    out.copy(back, ((token & 15) === 15 ? longer(15) : token & 15) + 4)
  }
}

interface Output {
  literal(from: Buffer, at: number, length: number): void
  /** The last bytes again, `back` before the end; they may overlap what is being written. */
  copy(back: number, length: number): void
  finished(): Buffer
}

const maxOutputBytes = 512 * 1024 * 1024

function createOutput(size: number): Output {
  let buffer = Buffer.allocUnsafe(Math.min(size, 64 * 1024 * 1024))
  let end = 0
  function need(length: number): void {
    if (end + length <= buffer.length) return
    if (end + length > maxOutputBytes) throw new Error('it is damaged: it unpacks to more than 512 MiB')
    const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, end + length))
    buffer.copy(larger, 0, 0, end)
    buffer = larger
  }
  return {
    literal(from, at, length) {
      if (at + length > from.length) throw new Error('it is damaged: it ends too early')
      need(length)
      from.copy(buffer, end, at, at + length)
      end += length
    },
    copy(back, length) {
      if (back === 0 || back > end) throw new Error('it is damaged: it repeats what was not there')
      need(length)
      if (back >= length) buffer.copy(buffer, end, end - back, end - back + length)
      else for (let i = 0; i < length; i++) buffer[end + i] = buffer[end - back + i] as number
      end += length
    },
    finished: () => buffer.subarray(0, end),
  }
}

function byteAt(bytes: Buffer, at: number): number {
  const byte = bytes[at]
  if (byte === undefined) throw new Error('it is damaged: it ends too early')
  return byte
}
