import { formatDuration } from '../../core/duration.ts'
import { EvtError } from '../../core/errors.ts'
import { redactUrl } from '../../core/mask.ts'
import type { Masker } from '../../core/masker.ts'
import { typeText, visible } from '../../core/visible.ts'
import type { BuriedMessage } from '../../transports/transport.ts'
import { withheldOf } from '../line/dead-letters.ts'
import type { Runtime } from '../runtime.ts'
import { type Buried, read, withBuried } from './buried.ts'
import { dataLines } from './data-lines.ts'

/** One dead letter of a broker. Throws EvtError('usage') when it does not lie there. */
export function showBuried(
  url: string,
  { id, masker }: { readonly id: string; readonly masker: Masker | undefined },
  runtime: Runtime,
): Promise<undefined> {
  return withBuried(runtime, { url, selection: {} }, async (buried) => {
    const letter = await find(buried, id)
    const { row, event: given } = read(letter, buried.topic)
    const of = { type: row.type, version: given?.version }
    const event = given && masker && 'data' in given ? { ...given, data: masker.data(of, given.data) } : given
    const { headers, body, isTombstone } = letter.message
    const raw = new TextDecoder().decode(body)
    const text = isTombstone ? null : (masker?.text(of, raw) ?? raw)
    const stack = stackOf(letter)
    const data = {
      ...row,
      origin: letter.origin,
      ...(stack === undefined ? {} : { stack }),
      headers,
      event,
      text,
      ...(isTombstone ? { tombstone: isTombstone } : {}),
      bytes: body.byteLength,
      onReplay: onReplay(letter),
    }
    runtime.output.result({ data, render: () => render(letter, { row, text, stack, runtime }) })
    return undefined
  })
}

async function find({ letters, topic, shown, signal }: Buried, id: string): Promise<BuriedMessage> {
  for await (const batch of letters.list(topic, signal)) {
    const found = batch.find((letter) => letter.id === id)
    if (found) return found
  }
  signal.throwIfAborted()
  throw new EvtError('usage', `cannot show dead letter ${id}: there is none in ${topic} on ${shown}`, {
    hint: 'ids stand in `evt dlq list --flat --source …`',
  })
}

/** More of it says nothing new, and a broker may carry megabytes. */
const mostStack = 16_384

function stackOf({ error }: BuriedMessage): string | undefined {
  // A password that the first cut goes through is behind the second.
  return error?.stack === undefined ? undefined : redactUrl(error.stack.slice(0, 2 * mostStack)).slice(0, mostStack)
}

const shownFrames = 12

function stackLines(stack: string): string[] {
  const lines = stack.replace(/\r?\n$/, '').split(/\r?\n/)
  const shown = lines.slice(0, shownFrames).map((line) => `  ${visible(line.replaceAll('\t', '  '))}`)
  const more = lines.length - shown.length
  return more > 0 ? [...shown, `  … ${more} more lines: -o json has them`] : shown
}

function onReplay({ origin, message }: BuriedMessage): string {
  const withheld = withheldOf(message)
  if (withheld !== undefined) return `nothing: its data was not kept (${withheld}): publish it again`
  if (origin.topic === undefined) return 'needs --to: it does not say which topic it came from'
  return `is published to ${origin.topic} again, with its own id: every group of that topic sees it`
}

interface Shown {
  readonly row: ReturnType<typeof read>['row']
  /** Null for a tombstone. */
  readonly text: string | null
  readonly stack: string | undefined
  readonly runtime: Runtime
}

function render(letter: BuriedMessage, { row, text, stack, runtime: { output, now } }: Shown): string {
  const { origin, deadMs } = letter
  const facts: [string, string][] = [
    ['dead letter', row.id],
    ['group', origin.group ?? '-'],
    ['cause', `${row.cause} · ${row.error}`],
    ['event', `${typeText(row.type)} · ${row.eventId}`],
    ['key', row.subject ?? '-'],
    ['came from', [origin.topic ?? '-', origin.at ?? ''].join(' ').trim()],
    ['attempts', letter.attempts === undefined ? '-' : String(letter.attempts)],
    ['died', deadMs === undefined ? '-' : `${new Date(deadMs).toISOString()} (${formatDuration(now() - deadMs)} ago)`],
    ['on replay', onReplay(letter)],
  ]
  const headers = Object.entries(letter.message.headers).map(([name, value]) => `  ${visible(`${name}: ${value}`)}`)
  return [
    ...facts.map(([name, fact]) => `${output.paint('bold', name.padEnd(12))} ${visible(fact)}`),
    '',
    output.paint('bold', 'headers'),
    ...headers,
    '',
    output.paint('bold', 'data'),
    ...(text === null ? ['  (tombstone: it has no body at all)'] : dataLines(text)),
    ...(stack === undefined ? [] : ['', output.paint('bold', 'stack'), ...stackLines(stack)]),
  ].join('\n')
}
