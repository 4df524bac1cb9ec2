import { describe, expect, it } from 'vitest'
import { actionFor, bindings } from '../../../src/ui/state/keymap.ts'
import { createModel, type Model, type TailLine, tailLines } from '../../../src/ui/state/model.ts'
import { handlerRows, selectedOf } from '../../../src/ui/state/rows.ts'
import { type Action, update } from '../../../src/ui/state/update.ts'
import { handlerSample, instanceSample, snapshotAt, times } from '../samples.ts'

const play = (actions: readonly Action[], from: Model = createModel()) => actions.reduce(update, from)

const line = (id: number): TailLine => ({
  id: `e${id}`,
  timeMs: 0,
  type: id % 2 === 0 ? 'user.created' : 'document.updated',
  subject: `user/${id}`,
  position: String(id),
  data: '{}',
})
const lines = (count: number, from = 0) => Array.from({ length: count }, (_, index) => line(from + index))

const twoHandlers = (second: number, handled: number): Action => ({
  type: 'snapshot',
  snapshot: snapshotAt(second, {
    instances: [
      instanceSample({
        handlers: [
          handlerSample({ handler: 'icons.a', handled, endToEnd: times(...Array(second + 1).fill(1)) }),
          handlerSample({
            handler: 'icons.b',
            handled: handled * 3,
            failed: second,
            endToEnd: times(...Array(second + 1).fill(90)),
          }),
        ],
      }),
    ],
    backlog: [{ handler: 'icons.a', lagEvents: 50, oldestAgeMs: 10, retrying: 0, parkedSubjects: 0 }],
  }),
})
const withHandlers = play([twoHandlers(0, 0), twoHandlers(1, 100)])

describe('update', () => {
  it('turns two snapshots into rates', () => {
    const rows = handlerRows(withHandlers)
    expect(rows.map((row) => [row.handler, row.perSecond])).toEqual([
      ['icons.a', 100],
      ['icons.b', 300],
    ])
    expect(withHandlers.history.handledPerSecond).toEqual([400])
  })

  it.each([
    ['rate', 'icons.b'],
    ['p99', 'icons.b'],
    ['errors', 'icons.b'],
    ['lag', 'icons.a'],
    ['name', 'icons.a'],
  ] as const)('sorts by %s with %s first', (sort, first) => {
    const names = ['name', 'rate', 'p99', 'errors', 'lag']
    const presses = Array.from({ length: names.indexOf(sort) }, (): Action => ({ type: 'next-sort' }))
    expect(handlerRows(play(presses, withHandlers))[0]?.handler).toBe(first)
  })

  it('moves the selection within the rows and never past them', () => {
    const down: Action = { type: 'move', by: 1 }
    expect(play([down, down, down], withHandlers).selected.handlers).toBe(1)
    expect(play([{ type: 'move', by: -1 }], withHandlers).selected.handlers).toBe(0)
    expect(play([{ type: 'move-to', end: 'last' }], withHandlers).selected.handlers).toBe(1)
  })

  it('goes round all panels with Tab', () => {
    const tab: Action = { type: 'focus-next' }
    expect(play([tab, tab, tab]).focus).toBe('tail')
    expect(play([tab, tab, tab, tab]).focus).toBe('handlers')
    expect(play([{ type: 'focus-previous' }]).focus).toBe('tail')
  })

  it('filters by a word and by an expression', () => {
    const typed = play(
      [{ type: 'type-filter' }, { type: 'type', text: 'icons.b' }, { type: 'accept-filter' }],
      withHandlers,
    )
    expect(handlerRows(typed).map((row) => row.handler)).toEqual(['icons.b'])
    const where = play(
      [{ type: 'type-filter' }, { type: 'type', text: "handler == 'icons.a'" }, { type: 'accept-filter' }],
      withHandlers,
    )
    expect(handlerRows(where).map((row) => row.handler)).toEqual(['icons.a'])
  })

  it('keeps a filter that does not compile in the line, with the reason', () => {
    const model = play(
      [{ type: 'type-filter' }, { type: 'type', text: 'handler ==' }, { type: 'accept-filter' }],
      withHandlers,
    )
    expect(model.filter).toBe('')
    expect(model.typing).toBe('handler ==')
    expect(model.filterError).toBeTruthy()
    expect(play([{ type: 'cancel-filter' }], model).typing).toBeUndefined()
  })

  it('freezes on pause and counts what came', () => {
    const paused = play(
      [{ type: 'toggle-pause' }, { type: 'events', lines: lines(4), skipped: 3 }, twoHandlers(2, 900)],
      withHandlers,
    )
    expect(paused.paused).toEqual({ newEvents: 7 })
    expect(paused.tail).toEqual([])
    expect(handlerRows(paused)[0]?.perSecond).toBe(100)
    expect(play([{ type: 'toggle-pause' }], paused).paused).toBeUndefined()
  })

  it('keeps the newest event selected until the operator moves away', () => {
    const full = play([
      { type: 'focus-next' },
      { type: 'focus-previous' },
      { type: 'focus-previous' },
      { type: 'events', lines: lines(3), skipped: 0 },
    ])
    expect(full.selected.tail).toBe(2)
    const moved = play(
      [
        { type: 'move', by: -1 },
        { type: 'events', lines: lines(2, 3), skipped: 0 },
      ],
      full,
    )
    expect(moved.tail[moved.selected.tail]?.id).toBe('e1')
  })

  it('follows the newest event that a filter lets through', () => {
    const typed = play([
      { type: 'focus-previous' },
      { type: 'events', lines: lines(6), skipped: 0 },
      { type: 'type-filter' },
      { type: 'type', text: 'user.created' },
      { type: 'accept-filter' },
    ])
    expect(typed.selected.tail).toBe(2)
    expect(play([{ type: 'events', lines: lines(4, 6), skipped: 0 }], typed).selected.tail).toBe(4)
    const moved = play(
      [
        { type: 'move', by: -1 },
        { type: 'events', lines: lines(tailLines - 4, 6), skipped: 0 },
      ],
      typed,
    )
    expect(selectedOf(moved)).toMatchObject({ line: { id: 'e2' } })
  })

  it('counts what came during a pause as not shown', () => {
    const resumed = play([
      { type: 'toggle-pause' },
      { type: 'events', lines: lines(4), skipped: 3 },
      { type: 'toggle-pause' },
    ])
    expect(resumed.tailSkipped).toBe(7)
  })

  it('repeats a rate while no bridge has said anything new', () => {
    const at = (second: number, ageMs: number, sequenced: number): Action => ({
      type: 'snapshot',
      snapshot: snapshotAt(second, { instances: [instanceSample({ ageMs, sequenced })] }),
    })
    const model = play([at(0, 100, 0), at(1, 100, 40), at(2, 1100, 40), at(3, 100, 120)])
    expect(model.history.sequencedPerSecond).toEqual([40, 40, 40])
  })

  it('bounds the tail and keeps the selected line selected while old ones leave', () => {
    const full = play([
      { type: 'focus-previous' },
      { type: 'events', lines: lines(tailLines), skipped: 0 },
      { type: 'move', by: -10 },
    ])
    const chosen = full.tail[full.selected.tail]?.id
    const later = play([{ type: 'events', lines: lines(5, tailLines), skipped: 0 }], full)
    expect(later.tail).toHaveLength(tailLines)
    expect(later.tail[later.selected.tail]?.id).toBe(chosen)
  })

  it('undoes the innermost thing with Esc', () => {
    const deep = play(
      [
        { type: 'toggle-pause' },
        { type: 'type-filter' },
        { type: 'type', text: 'a' },
        { type: 'accept-filter' },
        { type: 'toggle-help' },
      ],
      withHandlers,
    )
    const once = update(deep, { type: 'back' })
    expect([once.overlay, once.filter, once.paused]).toEqual([undefined, 'a', { newEvents: 0 }])
    const twice = update(once, { type: 'back' })
    expect([twice.filter, twice.paused]).toEqual(['', { newEvents: 0 }])
    expect(update(twice, { type: 'back' }).paused).toBeUndefined()
  })

  it('says what it cannot reach until the next snapshot comes', () => {
    const lost = play([{ type: 'trouble', message: 'cannot connect' }], withHandlers)
    expect(lost.trouble).toBe('cannot connect')
    expect(play([twoHandlers(3, 200)], lost).trouble).toBeUndefined()
  })

  it('opens details only of a row', () => {
    expect(play([{ type: 'open-detail' }]).overlay).toBeUndefined()
    expect(play([{ type: 'open-detail' }], withHandlers).overlay).toBe('detail')
  })

  it('keeps the details of an event that has left the tail', () => {
    const model = play([
      { type: 'focus-previous' },
      { type: 'events', lines: lines(3), skipped: 0 },
      { type: 'open-detail' },
      { type: 'events', lines: lines(2 * tailLines, 3), skipped: 0 },
    ])
    expect(model.opened).toMatchObject({ line: { id: 'e2' } })
  })

  it('scrolls an overlay as far as it is longer than the screen, and comes back', () => {
    const help = play([
      { type: 'toggle-help' },
      { type: 'overflow', lines: 5 },
      { type: 'move-to', end: 'last' },
      { type: 'move', by: -1 },
    ])
    expect(help.scroll).toBe(4)
    expect(play([{ type: 'overflow', lines: 2 }], help).scroll).toBe(2)
  })
})

describe('a key', () => {
  const typed = (text: string) => [...text].map((name): Action => ({ type: 'key', key: { name, ctrl: false } }))

  it('means what it means to the model that the key before has left', () => {
    const model = play([...typed('/sq'), { type: 'key', key: { name: 'enter', ctrl: false } }], withHandlers)
    expect(model).toMatchObject({ filter: 'sq', sort: 'name', quitting: false })
    expect(play(typed('sq'), withHandlers)).toMatchObject({ filter: '', sort: 'rate', quitting: true })
  })
})

describe('keymap', () => {
  it('has one meaning for each key', () => {
    const keys = bindings.flatMap((binding) => binding.keys)
    expect(new Set(keys).size).toBe(keys.length)
  })

  it('takes keys as text while a filter is typed', () => {
    expect(actionFor({ name: 'q', ctrl: false }, true)).toEqual({ type: 'type', text: 'q' })
    expect(actionFor({ name: 'q', ctrl: false }, false)).toEqual({ type: 'quit' })
    expect(actionFor({ name: 'tab', ctrl: false }, true)).toBeUndefined()
  })

  it('quits on Ctrl-C everywhere', () => {
    expect(actionFor({ name: 'c', ctrl: true }, true)).toEqual({ type: 'quit' })
  })
})
