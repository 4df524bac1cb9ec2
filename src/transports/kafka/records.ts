// Record batches, format 2 (https://kafka.apache.org/documentation/#recordbatch), big-endian:
//   baseOffset int64, batchLength int32, partitionLeaderEpoch int32, magic int8 = 2, crc uint32 (CRC-32C of all that follows),
//   attributes int16 (bits 0-2 codec, 3 timestamp type, 4 transactional, 5 control), lastOffsetDelta int32, baseTimestamp int64,
//   maxTimestamp int64, producerId int64, producerEpoch int16, baseSequence int32, count int32, records
// A record: length varint, attributes int8, timestampDelta varlong, offsetDelta varint, then its content: key (varint length, -1 is
//   null), value (the same), headers (varint count; each: name, value (-1 is null)).
import { createReader, createWriter, type Reader, type Writer } from './bytes.ts'
import { decompress } from './compression.ts'
import { crc32c } from './crc32c.ts'

const headerSize = 61
const crcAt = 17
const crcFrom = 21

/** Bytes that a batch adds to its records, the longest lengths of their own included. */
export const batchOverheadBytes = headerSize
export const recordOverheadBytes = 12

export interface ProducerState {
  readonly producerId: bigint
  readonly epoch: number
  readonly sequence: number
}

/** The contents of records (key, value and headers, as `writeContent` wrote them) as one batch. */
export function encodeBatch(contents: readonly Uint8Array[], timeMs: number, producer: ProducerState): Buffer {
  const size = contents.reduce((sum, { length }) => sum + length + recordOverheadBytes, headerSize)
  const writer = createWriter(size)
  writer.int64(0n)
  writer.int32(0)
  writer.int32(-1)
  writer.int8(2)
  writer.uint32(0)
  writer.int16(0)
  writer.int32(contents.length - 1)
  writer.int64(BigInt(timeMs))
  writer.int64(BigInt(timeMs))
  writer.int64(producer.producerId)
  writer.int16(producer.epoch)
  writer.int32(producer.sequence)
  writer.int32(contents.length)
  for (let i = 0; i < contents.length; i++) {
    const content = contents[i] as Uint8Array
    // Attributes and the time delta, both 0, then the offset delta.
    writer.varint(content.length + 2 + varintSize(i))
    writer.int8(0)
    writer.int8(0)
    writer.varint(i)
    writer.raw(content)
  }
  writer.setInt32(8, writer.length - 12)
  const batch = writer.bytes
  batch.writeUInt32BE(crc32c(batch, crcFrom), crcAt)
  return batch
}

function varintSize(value: number): number {
  const zigzag = value << 1
  return zigzag < 0x80 ? 1 : zigzag < 0x4000 ? 2 : zigzag < 0x20_0000 ? 3 : 4
}

export interface RawHeader {
  readonly name: string
  readonly value: Uint8Array | null
}

/** Key, value and headers of a record. */
export function writeContent(
  writer: Writer,
  key: Uint8Array | null,
  value: Uint8Array | null,
  headers: readonly RawHeader[],
): void {
  writeBytes(writer, key)
  writeBytes(writer, value)
  writer.varint(headers.length)
  for (const header of headers) {
    writer.varString(header.name)
    writeBytes(writer, header.value)
  }
}

export function writeBytes(writer: Writer, bytes: Uint8Array | null): void {
  writer.varint(bytes === null ? -1 : bytes.length)
  if (bytes !== null) writer.raw(bytes)
}

/** A record where it lies in its batch: key, value and headers are read from `content` on. */
export interface RawRecord {
  readonly offset: bigint
  readonly timeMs: number
  /** Stands at the key; only until the next record is asked for. */
  readonly content: Reader
}

export interface AbortedTransaction {
  readonly producerId: bigint
  readonly firstOffset: bigint
}

/** What a partition's part of a fetch holds, read as it is asked for. */
export interface RecordCursor {
  /** The next record from `from` on; undefined when there is no more. Throws an Error that says why when a batch cannot be read. */
  next(): RawRecord | undefined
  /** The offset behind everything that was read or skipped, holes and markers included. */
  readonly position: bigint
  /** After an error of `next`: goes on behind the batch that could not be read; returns how many offsets that leaves out. */
  skipBatch(): number
  /** Bytes that are not read yet. */
  readonly leftBytes: number
}

/** The offset behind the last whole batch in `bytes`; undefined when there is none. */
export function endOfBatches(bytes: Buffer): bigint | undefined {
  let end: bigint | undefined
  for (let at = 0; at + headerSize <= bytes.length; ) {
    const size = bytes.readInt32BE(at + 8) + 12
    if (size < headerSize || at + size > bytes.length) break
    // Format 2 has the last offset's delta here; in older ones the offset is the last one itself.
    const delta = bytes[at + 16] === 2 ? bytes.readInt32BE(at + 23) : 0
    end = bytes.readBigInt64BE(at) + BigInt(delta) + 1n
    at += size
  }
  return end
}

/**
 * Reads `bytes`, whole batches and perhaps the beginning of another, from offset `from` on. Leaves out control batches and what aborted
 * transactions wrote. Older formats than 2 end the reading with an error.
 */
export function createRecordCursor(bytes: Buffer, from: bigint, aborted: readonly AbortedTransaction[]): RecordCursor {
  const waiting = aborted.toSorted((a, b) => (a.firstOffset < b.firstOffset ? -1 : 1))
  const abortedNow = new Set<bigint>()
  let position = from
  let nextBatchAt = 0
  let records: Reader | undefined
  let nextRecordAt = 0
  let left = 0
  let base = 0n
  let baseTime = 0
  let fixedTime: number | undefined
  let end = from

  /** Opens the next batch; false when there is no whole one. */
  function openBatch(): boolean {
    if (bytes.length - nextBatchAt < headerSize) return false
    const size = bytes.readInt32BE(nextBatchAt + 8) + 12
    if (size < 17 || nextBatchAt + size > bytes.length) return false
    const reader = createReader(bytes.subarray(nextBatchAt, nextBatchAt + size))
    base = reader.int64()
    reader.at = 16
    const magic = reader.int8()
    nextBatchAt += size
    if (magic !== 2) {
      end = base + 1n
      throw new Error(`it has message format ${magic}, of brokers before 0.11`)
    }
    reader.at = crcFrom
    const attributes = reader.int16()
    end = base + BigInt(reader.int32()) + 1n
    baseTime = Number(reader.int64())
    const maxTime = Number(reader.int64())
    const producerId = reader.int64()
    reader.at += 6
    const count = reader.int32()
    fixedTime = (attributes & 8) === 0 ? undefined : maxTime
    left = count
    while (waiting[0] !== undefined && waiting[0].firstOffset < end)
      abortedNow.add((waiting.shift() as AbortedTransaction).producerId)
    const isControl = (attributes & 0x20) !== 0
    // A marker ends its producer's transaction, aborted or not.
    if (isControl) abortedNow.delete(producerId)
    const isAborted = (attributes & 0x10) !== 0 && abortedNow.has(producerId)
    if (isControl || isAborted || end <= from) left = 0
    records = left === 0 ? undefined : contentOf(reader, attributes & 7)
    nextRecordAt = records?.at ?? 0
    return true
  }

  function contentOf(reader: Reader, codec: number): Reader {
    if (codec === 0) return reader
    return createReader(decompress(codec, reader.bytes.subarray(headerSize)))
  }

  function readRecord(reader: Reader): RawRecord {
    reader.at = nextRecordAt
    const length = reader.varint()
    const recordEnd = reader.at + length
    if (length < 0 || recordEnd > reader.bytes.length) throw new RangeError('a record goes past the end of its batch')
    reader.at++
    const timeMs = fixedTime ?? baseTime + timeDelta(reader)
    const offset = base + BigInt(reader.varint())
    nextRecordAt = recordEnd
    left--
    return { offset, timeMs, content: reader }
  }

  return {
    get position() {
      return position
    },
    get leftBytes() {
      return bytes.length - nextBatchAt + (left > 0 ? (records?.bytes.length ?? 0) - nextRecordAt : 0)
    },
    next() {
      for (;;) {
        while (records !== undefined && left > 0) {
          const record = readRecord(records)
          if (record.offset < from) continue
          position = record.offset + 1n
          return record
        }
        if (position < end) position = end
        records = undefined
        if (!openBatch()) return undefined
      }
    },
    skipBatch() {
      const skipped = Number(end - position)
      records = undefined
      left = 0
      if (position < end) position = end
      return skipped
    },
  }
}

/** Deltas rarely need more than 31 bits. */
function timeDelta(reader: Reader): number {
  const first = reader.bytes[reader.at]
  if (first !== undefined && first < 0x80) {
    reader.at++
    return (first >>> 1) ^ -(first & 1)
  }
  return Number(reader.varlong())
}
