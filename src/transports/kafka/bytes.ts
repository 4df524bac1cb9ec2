const firstSize = 16 * 1024

/** Kafka's primitive types, written one behind the other into a buffer that grows. */
export interface Writer {
  readonly length: number
  /** What was written; a later write may move it elsewhere. */
  readonly bytes: Buffer
  int8(value: number): void
  int16(value: number): void
  int32(value: number): void
  uint32(value: number): void
  int64(value: bigint): void
  /** Zigzag. */
  varint(value: number): void
  uvarint(value: number): void
  raw(bytes: Uint8Array): void
  /** As `raw`, UTF-8, behind its length as a zigzag varint. */
  varString(text: string): void
  /** Length as int16; null is -1. */
  string(text: string | null): void
  /** Length plus one as uvarint, as flexible versions have it. */
  compactString(text: string): void
  setInt32(at: number, value: number): void
}

export function createWriter(size = firstSize): Writer {
  let buffer = Buffer.allocUnsafe(size)
  let at = 0

  function need(count: number): void {
    if (at + count <= buffer.length) return
    const larger = Buffer.allocUnsafe(Math.max(buffer.length * 2, at + count))
    buffer.copy(larger, 0, 0, at)
    buffer = larger
  }

  function uvarint(value: number): void {
    need(5)
    let rest = value >>> 0
    while (rest > 0x7f) {
      buffer[at++] = (rest & 0x7f) | 0x80
      rest >>>= 7
    }
    buffer[at++] = rest
  }

  const varint = (value: number) => uvarint((value << 1) ^ (value >> 31))

  function text(value: string, length: number): void {
    need(length)
    buffer.write(value, at, length, length === value.length ? 'latin1' : 'utf8')
    at += length
  }

  const writer: Writer = {
    get length() {
      return at
    },
    get bytes() {
      return buffer.subarray(0, at)
    },
    int8(value) {
      need(1)
      buffer[at++] = value & 0xff
    },
    int16(value) {
      need(2)
      at = buffer.writeInt16BE(value, at)
    },
    int32(value) {
      need(4)
      at = buffer.writeInt32BE(value, at)
    },
    uint32(value) {
      need(4)
      at = buffer.writeUInt32BE(value, at)
    },
    int64(value) {
      need(8)
      at = buffer.writeBigInt64BE(value, at)
    },
    varint,
    uvarint,
    raw(bytes) {
      need(bytes.length)
      buffer.set(bytes, at)
      at += bytes.length
    },
    varString(value) {
      const length = Buffer.byteLength(value)
      varint(length)
      text(value, length)
    },
    string(value) {
      if (value === null) return writer.int16(-1)
      const length = Buffer.byteLength(value)
      writer.int16(length)
      text(value, length)
    },
    compactString(value) {
      const length = Buffer.byteLength(value)
      uvarint(length + 1)
      text(value, length)
    },
    setInt32(position, value) {
      buffer.writeInt32BE(value, position)
    },
  }
  return writer
}

/** Reads Kafka's primitive types. Reading past the end throws RangeError. */
export interface Reader {
  readonly bytes: Buffer
  at: number
  readonly left: number
  int8(): number
  int16(): number
  int32(): number
  uint32(): number
  int64(): bigint
  varint(): number
  varlong(): bigint
  uvarint(): number
  slice(length: number): Buffer
  string(): string | null
  compactString(): string | null
  /** Skips the tagged fields of flexible versions. */
  tags(): void
}

export function createReader(bytes: Buffer, start = 0): Reader {
  function uvarint(): number {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[reader.at++]
      if (byte === undefined || shift > 28) throw new RangeError('a number goes past the end')
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value >>> 0
    }
  }

  function uvarlong(): bigint {
    let value = 0n
    for (let shift = 0n; ; shift += 7n) {
      const byte = bytes[reader.at++]
      if (byte === undefined || shift > 63n) throw new RangeError('a number goes past the end')
      value |= BigInt(byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }

  function slice(length: number): Buffer {
    if (length < 0 || reader.at + length > bytes.length) throw new RangeError('a field goes past the end')
    const part = bytes.subarray(reader.at, reader.at + length)
    reader.at += length
    return part
  }

  const reader: Reader = {
    bytes,
    at: start,
    get left() {
      return bytes.length - reader.at
    },
    int8: () => bytes.readInt8(reader.at++),
    int16() {
      const value = bytes.readInt16BE(reader.at)
      reader.at += 2
      return value
    },
    int32() {
      const value = bytes.readInt32BE(reader.at)
      reader.at += 4
      return value
    },
    uint32() {
      const value = bytes.readUInt32BE(reader.at)
      reader.at += 4
      return value
    },
    int64() {
      const value = bytes.readBigInt64BE(reader.at)
      reader.at += 8
      return value
    },
    varint() {
      const value = uvarint()
      return (value >>> 1) ^ -(value & 1)
    },
    varlong() {
      const value = uvarlong()
      return (value >> 1n) ^ -(value & 1n)
    },
    uvarint,
    slice,
    string() {
      const length = reader.int16()
      return length < 0 ? null : slice(length).toString()
    },
    compactString() {
      const length = uvarint()
      return length === 0 ? null : slice(length - 1).toString()
    },
    tags() {
      for (let count = uvarint(); count > 0; count--) {
        uvarint()
        slice(uvarint())
      }
    },
  }
  return reader
}
