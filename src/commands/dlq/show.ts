import { formatDuration } from '../../core/duration.ts'
import { EvtError } from '../../core/errors.ts'
import type { EvtEvent } from '../../core/event.ts'
import { parseExactly } from '../../core/json-text.ts'
import type { Masker } from '../../core/masker.ts'
import { typeText, visible } from '../../core/visible.ts'
import type { Output } from '../../output/output.ts'
import type { DeadLetter, Redrive } from '../../store/dead-letters.ts'
import { argument, defineCommand } from '../command.ts'
import { deadLetterSource, eventOf, withheldOf } from '../line/dead-letters.ts'
import { formatOptions, storeOptions } from '../line/options.ts'
import { maskerUnless, revealOptions } from '../line/reveal.ts'
import { withStore } from '../line/store.ts'
import { dataLines } from './data-lines.ts'
import { showBuried } from './show-buried.ts'

type Letter = DeadLetter & { readonly redrives: readonly Redrive[] }

export default defineCommand({
  name: 'dlq show',
  section: 'repair',
  summary: 'one dead letter: its event, every attempt, and what a replay would do',
  description:
    'With --source from a dead-letter topic of a broker: what its grave says of it, as far as it says anything.',
  examples: [
    { line: 'evt dlq show 1', says: 'everything about dead letter 1', needs: 'dead-letter' },
    { line: 'evt dlq show 1 --json', says: 'for a script', needs: 'dead-letter' },
  ],
  args: { id: argument({ says: 'from `evt dlq list` (SAMPLE) or `evt dlq list --flat`' }) },
  options: { ...deadLetterSource, ...revealOptions, ...storeOptions, ...formatOptions },
  async run({ args: { id }, options: { source, reveal } }, runtime) {
    const masker = await maskerUnless(reveal, `dead letter ${id}`, runtime)
    if (source !== undefined) return showBuried(source, { id, masker }, runtime)
    if (!/^\d{1,18}$/.test(id)) {
      throw new EvtError('usage', `cannot show dead letter ${id}: it is no number`, {
        hint: 'ids stand in `evt dlq list --flat`; of a cause, `evt dlq list --cause CAUSE` shows all',
      })
    }
    return withStore(runtime, { command: 'dlq show', max: 1 }, async (store) => {
      const { getDeadLetter } = await import('../../store/dead-letters.ts')
      const letter = await getDeadLetter(store, id)
      if (!letter)
        throw new EvtError('usage', `cannot show dead letter ${id}: there is none on ${store.url}`, {
          hint: 'see `evt dlq list --flat`',
        })
      const { headers: _headers, body, ...rest } = letter
      const dataText = masker?.text(letter, textOf(letter)) ?? textOf(letter)
      const event = exactEventOf(letter, dataText, masker)
      const text = 'data' in event || withheldOf(letter) !== undefined ? {} : { text: dataText }
      const data = { ...rest, event, ...text, bytes: body.byteLength, onReplay: onReplay(letter) }
      runtime.output.result({ data, render: () => render(letter, dataText, runtime.output) })
      return undefined
    })
  },
})

const textOf = ({ body }: Letter) => new TextDecoder().decode(body)

/** For printing: numbers of its data keep their digits. */
function exactEventOf(letter: Letter, dataText: string, masker: Masker | undefined): Partial<EvtEvent> {
  const event = eventOf(letter)
  // A text may be the body of something that is no JSON.
  if (typeof event.data === 'object') return { ...event, data: parseExactly(dataText) }
  return 'data' in event && masker ? { ...event, data: masker.data(letter, event.data) } : event
}

function onReplay(letter: Letter): string {
  if (letter.status !== 'open') return `nothing: it is ${letter.status}`
  const withheld = withheldOf(letter)
  if (withheld !== undefined) return `nothing: its data was not kept (${withheld}): publish it again`
  const times = letter.replayCount === 0 ? '' : `; it was replayed ${letter.replayCount} times before`
  if (letter.reason === 'publish')
    return `is published again under its id, if a contract that a bridge has takes it${times}`
  return `goes to ${letter.handler} and to no other, with its own id and attempts anew${times}`
}

function render(letter: Letter, dataText: string, output: Output): string {
  const { paint } = output
  const facts: [string, string][] = [
    ['dead letter', `${letter.id} (${letter.status})`],
    ['handler', letter.handler],
    ['cause', `${letter.cause} · ${letter.reason}`],
    ['event', `${typeText(letter.type)}${letter.version ? ` v${letter.version}` : ''} · ${letter.eventId}`],
    ['subject', letter.subject ?? '-'],
    ['position', letter.position ?? letter.at],
    ['on replay', onReplay(letter)],
  ]
  return [
    ...facts.map(([name, text]) => `${paint('bold', name.padEnd(12))} ${visible(text)}`),
    '',
    paint('bold', 'data'),
    ...(withheldOf(letter) === undefined ? dataLines(dataText) : [`  (not kept: ${withheldOf(letter)})`]),
    '',
    paint('bold', `attempts (${letter.attempts.length})`),
    ...letter.attempts.flatMap(attemptLines),
    ...(letter.redrives.length > 0 ? ['', paint('bold', 'replays'), ...letter.redrives.map(redriveLine)] : []),
  ].join('\n')
}

function attemptLines(attempt: DeadLetter['attempts'][number]): string[] {
  const head = `  ${attempt.attempt}. ${attempt.at} · ${formatDuration(attempt.durationMs)} · ${attempt.instance}`
  const stack = (attempt.stack ?? '')
    .split('\n')
    .slice(1, 6)
    .map((line) => `       ${visible(line.trim())}`)
  return [visible(head), `     ${visible(`${attempt.class}: ${attempt.message}`)}`, ...stack]
}

const redriveLine = ({ at, by, reason, outcome }: Redrive) =>
  visible(`  ${at} · ${outcome} · by ${by}${reason ? ` (${reason})` : ''}`)
