import { StringDecoder } from 'node:string_decoder'
import { EvtError } from '../core/errors.ts'
import { maxDataDepth } from '../core/event.ts'
import { jsonDepth } from '../core/json-text.ts'
import { formatCount } from '../core/quantity.ts'

/** Longest line that is read, 4 MiB: anything above is no event, and must not fill the memory. */
export const maxLineBytes = 4 * 1024 * 1024

export interface NdjsonLine {
  /** From 1, blank lines counted. */
  readonly line: number
  readonly value: unknown
  /** What `value` was parsed from, without the space around it. */
  readonly text: string
}

/**
 * The JSON values of a stream, one a line. A byte order mark, CR LF and blank lines are tolerated. Reads no further than
 * it is asked to. Throws EvtError('decode') naming the line when one is no JSON or nested deeper than an event may be,
 * EvtError('too-large') above the limit; with `onBad` a bad line is told, and passed over.
 */
export async function* readNdjson(
  stream: AsyncIterable<Uint8Array | string>,
  onBad: (error: EvtError) => void = rethrow,
): AsyncGenerator<NdjsonLine, void> {
  const decoder = new StringDecoder('utf8')
  let rest = ''
  let line = 0
  for await (const chunk of stream) {
    const text = rest + (typeof chunk === 'string' ? chunk : decoder.write(chunk as Buffer))
    let start = 0
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', start)) {
      line += 1
      const parsed = tried(text.slice(start, end), line, onBad)
      start = end + 1
      if (parsed) yield parsed
    }
    rest = text.slice(start)
    checkLength(rest, line + 1)
  }
  const last = tried(rest + decoder.end(), line + 1, onBad)
  if (last) yield last
}

function rethrow(error: EvtError): void {
  throw error
}

function tried(raw: string, line: number, onBad: (error: EvtError) => void): NdjsonLine | undefined {
  try {
    return parseLine(raw, line)
  } catch (error) {
    if (!(error instanceof EvtError)) throw error
    onBad(error)
    return undefined
  }
}

/** `data` and the event around it. */
const maxLineDepth = maxDataDepth + 1

/** Undefined for a blank line. */
function parseLine(raw: string, line: number): NdjsonLine | undefined {
  checkLength(raw, line)
  const text = (line === 1 && raw.startsWith('\uFEFF') ? raw.slice(1) : raw).trim()
  if (text === '') return undefined
  const value = parse(text, line)
  if (text.length > 2 * maxLineDepth && jsonDepth(text) > maxLineDepth) {
    throw new EvtError(
      'decode',
      `cannot read line ${line}: it is nested deeper than ${formatCount(maxDataDepth)} levels`,
      { hint: 'make it flatter, or keep the deep part as a text' },
    )
  }
  return { line, value, text }
}

function parse(text: string, line: number): unknown {
  try {
    return JSON.parse(text)
  } catch (cause) {
    const reason =
      cause instanceof Error ? cause.message.replace(/ in JSON at position.*$| is not valid JSON$/s, '') : ''
    throw new EvtError('decode', `cannot read line ${line}: it is no JSON (${reason})`, {
      hint: 'one JSON object a line (NDJSON) is expected',
      cause,
    })
  }
}

function checkLength(text: string, line: number): void {
  if (text.length <= maxLineBytes / 4 || Buffer.byteLength(text) <= maxLineBytes) return
  throw new EvtError('too-large', `cannot read line ${line}: it is longer than 4 MiB`, {
    hint: 'one JSON object a line (NDJSON) is expected',
  })
}
