import { formatDuration } from '../../core/duration.ts'
import { EvtError } from '../../core/errors.ts'
import { typeText, visible } from '../../core/visible.ts'
import type { BuriedMessage } from '../../transports/transport.ts'
import type { Runtime } from '../runtime.ts'
import { type Buried, read, withBuried } from './buried.ts'
import { dataLines } from './data-lines.ts'

/** One dead letter of a broker. Throws EvtError('usage') when it does not lie there. */
export function showBuried(url: string, id: string, runtime: Runtime): Promise<undefined> {
  return withBuried(runtime, { url, selection: {} }, async (buried) => {
    const letter = await find(buried, id)
    const { row, event } = read(letter, buried.topic)
    const text = new TextDecoder().decode(letter.message.body)
    const { headers, body } = letter.message
    const data = {
      ...row,
      origin: letter.origin,
      headers,
      event,
      text,
      bytes: body.byteLength,
      onReplay: onReplay(letter),
    }
    runtime.output.result({ data, render: () => render(letter, { row, text, runtime }) })
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

function onReplay({ origin }: BuriedMessage): string {
  if (origin.topic === undefined) return 'needs --to: it does not say which topic it came from'
  return `is published to ${origin.topic} again, with its own id: every group of that topic sees it`
}

interface Shown {
  readonly row: ReturnType<typeof read>['row']
  readonly text: string
  readonly runtime: Runtime
}

function render(letter: BuriedMessage, { row, text, runtime: { output, now } }: Shown): string {
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
    ...dataLines(text),
  ].join('\n')
}
