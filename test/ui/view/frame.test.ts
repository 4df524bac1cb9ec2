import { createRequire } from 'node:module'
import { describe, expect, it } from 'vitest'
import { createModel, type Model } from '../../../src/ui/state/model.ts'
import { type Action, update } from '../../../src/ui/state/update.ts'
import { renderFrame } from '../../../src/ui/view/frame.ts'
import type { Size } from '../../../src/ui/view/text.ts'
import { handlerSample, instanceSample, snapshotAt, times } from '../samples.ts'

/** What the terminal library takes a text for: it cuts whatever is wider than the screen. */
const { default: stringWidth } = (await import(createRequire(import.meta.resolve('ink')).resolve('string-width'))) as {
  default: (text: string) => number
}

const snapshot = (second: number): Action => {
  const late = (...ms: number[]) => (second === 0 ? times() : times(...ms))
  return {
    type: 'snapshot',
    snapshot: snapshotAt(second, {
      instances: [
        instanceSample({
          sequenced: second * 250,
          stages: { relay: late(1.5, 2), deliver: late(1), queue: late(0.2), handle: late(4, 5) },
          handlers: [
            handlerSample({ handler: 'icons.usage', handled: second * 100, endToEnd: late(2, 3, 9) }),
            handlerSample({
              handler: 'icons.preferences',
              handled: second * 10,
              failed: second,
              health: 'degraded',
              endToEnd: late(40),
              runTime: late(12, 13, 30),
            }),
          ],
        }),
        instanceSample({ instance: 'demo-2', alive: false, leader: false, ageMs: 9000 }),
      ],
      backlog: [
        { handler: 'icons.usage', lagEvents: 0, oldestAgeMs: null, retrying: 0, parkedSubjects: 0 },
        { handler: 'icons.preferences', lagEvents: 1204, oldestAgeMs: 65_000, retrying: 3, parkedSubjects: 2 },
      ],
      dead: {
        open: 12,
        causes: [
          {
            cause: '3f2a91',
            handler: 'icons.usage',
            type: 'document.updated',
            error: 'unterminated icon \u001b[31mmarkup',
            count: 12,
            firstAt: '2026-11-21T07:00:00.000Z',
            lastAt: '2026-11-21T07:59:58.000Z',
            sampleId: '41',
          },
        ],
      },
    }),
  }
}

const events: Action = {
  type: 'events',
  skipped: 0,
  lines: [
    {
      id: 'e1',
      timeMs: Date.UTC(2026, 10, 21, 8),
      type: 'user.created',
      subject: 'user/7',
      position: '1200',
      data: '{"user_id":"7","note":"\u0007"}',
    },
  ],
}

const model = (...actions: readonly Action[]): Model =>
  [snapshot(0), snapshot(1), events, ...actions].reduce(update, createModel())
const picture = (of: Model, size: Size) =>
  renderFrame(of, size).map((line) =>
    line
      .map((piece) => piece.text)
      .join('')
      .trimEnd(),
  )

const sizes: readonly Size[] = [
  { columns: 60, rows: 14 },
  { columns: 80, rows: 23 },
  { columns: 200, rows: 60 },
  { columns: 300, rows: 100 },
]

describe('renderFrame', () => {
  it.each(sizes)('fills $columns×$rows and never more', (size) => {
    for (const actions of [
      [],
      [{ type: 'toggle-help' }],
      [{ type: 'open-detail' }],
      [{ type: 'type-filter' }],
      [{ type: 'toggle-pause' }],
    ] as Action[][]) {
      const lines = picture(model(...actions), size)
      expect(lines).toHaveLength(size.rows)
      expect(Math.max(...lines.map((line) => [...line].length))).toBeLessThanOrEqual(size.columns)
    }
  })

  it.each(sizes.slice(0, 2))('looks like this at $columns×$rows', (size) => {
    expect(picture(model(), size)).toMatchSnapshot()
  })

  it('shows details of a handler like this', () => {
    expect(picture(model({ type: 'open-detail' }), { columns: 80, rows: 24 })).toMatchSnapshot()
  })

  it('keeps the details of a handler whose row has moved', () => {
    const sorted = model({ type: 'open-detail' }, { type: 'next-sort' })
    expect(picture(sorted, { columns: 80, rows: 24 })[3]).toBe('icons.preferences')
    const gone = model({ type: 'open-detail' }, { type: 'snapshot', snapshot: snapshotAt(2) })
    expect(picture(gone, { columns: 80, rows: 24 })[3]).toBe('icons.preferences is no longer there')
  })

  it('shows the p50 and p99 of every stage at 60 columns', () => {
    expect(picture(model(), { columns: 60, rows: 14 })[2]).toMatch(
      /^relay \S+ deliver \S+ queue \S+ handle 4\.0\/5\.0$/,
    )
  })

  it('says what to run when no bridge does', () => {
    const empty = update(createModel(), { type: 'snapshot', snapshot: snapshotAt(0, { instances: [] }) })
    const shown = picture(empty, { columns: 80, rows: 23 }).join('\n')
    expect(shown).toContain('bridges 0  no leader')
    expect(shown).toContain('no bridge is running: start one with `evt up`')
  })

  it.each(sizes)('keeps to $columns×$rows with wide letters, long names and fifty handlers', (size) => {
    const crowd = snapshotAt(3, {
      instances: [
        instanceSample({
          handlers: Array.from({ length: 50 }, (_, index) =>
            handlerSample({ handler: `${'very-long-name-of-a-handler.'.repeat(4)}${index}` }),
          ),
        }),
      ],
    })
    const texts = ['日本語のイベント'.repeat(20), '👩‍👩‍👧‍👦🎉'.repeat(40), 'e\u0301'.repeat(200), '한국어 ｆｕｌｌ']
    const lines = texts.map((text, index) => ({
      id: `${index}`,
      timeMs: 0,
      type: text,
      subject: text,
      position: '',
      data: text,
    }))
    const crowded = model({ type: 'snapshot', snapshot: crowd }, { type: 'events', lines, skipped: 0 })
    for (const presses of [0, 1, 2, 3]) {
      const focused = Array.from({ length: presses }, (): Action => ({ type: 'focus-next' })).reduce(update, crowded)
      for (const shown of [focused, update(focused, { type: 'open-detail' })]) {
        const frame = renderFrame(shown, size)
        expect(frame).toHaveLength(size.rows)
        for (const line of frame)
          expect(stringWidth(line.map((piece) => piece.text).join(''))).toBeLessThanOrEqual(size.columns)
      }
    }
  })

  it('never sends control characters of events to the terminal', () => {
    for (const size of sizes) {
      const text = picture(model({ type: 'focus-previous' }), size).join('\n')
      // biome-ignore lint/suspicious/noControlCharactersInRegex: that is what must not be there
      expect(text).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u007f-\u009f]/)
    }
  })

  it('always shows the active filter, the pause and what cannot be reached', () => {
    const shown = picture(
      model(
        { type: 'type-filter' },
        { type: 'type', text: 'usage' },
        { type: 'accept-filter' },
        { type: 'toggle-pause' },
        { type: 'trouble', message: 'cannot reach localhost:5433' },
      ),
      { columns: 60, rows: 15 },
    ).join('\n')
    expect(shown).toContain('filter usage')
    expect(shown).toContain('PAUSED · 0 new')
    expect(shown).toContain('cannot reach localhost:5433')
  })

  it('says so when the terminal is too small', () => {
    expect(picture(model(), { columns: 40, rows: 10 })[0]).toMatch(/needs 60×15/)
  })

  it('connects before the first snapshot', () => {
    expect(picture(createModel(), { columns: 80, rows: 24 })[0]).toContain('connecting')
  })

  it('marks health by shape as well as by colour', () => {
    const lines = picture(model(), { columns: 80, rows: 24 })
    expect(lines.find((line) => line.includes('icons.preferences'))).toContain('▲')
    expect(lines.find((line) => line.includes('icons.usage'))).toContain('●')
  })
})
