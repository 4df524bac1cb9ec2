import { describe, expect, it } from 'vitest'
import { EvtError } from '../../src/core/errors.ts'
import { type EvtEvent, maxDataBytes } from '../../src/core/event.ts'
import { createRegistry, isNewerVersion } from '../../src/core/registry.ts'
import { type Corruption, parseCorruptions } from '../../src/generators/corruption.ts'
import { createGenerator } from '../../src/generators/generator.ts'
import { contracts } from '../../src/services/icons/contracts.ts'

const registry = createRegistry(contracts)

function generate(kinds: readonly Corruption[], count: number, ratio = 1) {
  const options = { registry, types: ['user.*', 'document.*'], seed: 3, nowMs: 1_760_000_000_000 }
  const generator = createGenerator({ ...options, corrupt: { kinds, ratio } })
  const events = Array.from({ length: count }, () => generator.next())
  const clean = createGenerator(options)
  return { events, corrupted: generator.corrupted, clean: Array.from({ length: count }, () => clean.next()) }
}

function codeOf(event: EvtEvent): string {
  try {
    registry.validate(event)
    return 'valid'
  } catch (error) {
    if (isNewerVersion(error)) return 'newer'
    if (error instanceof EvtError) return error.code
    throw error
  }
}

describe('corruption', () => {
  it.each([
    ['missing-field', 'contract'],
    ['wrong-type', 'contract'],
    ['unknown-version', 'newer'],
    ['poison', 'valid'],
    ['bad-checksum', 'valid'],
    ['stale-sequence', 'valid'],
  ] as const)('by %s makes events that the registry finds %s', (kind, code) => {
    const { events, corrupted, clean } = generate([kind], 500)
    const changed = events.filter((event, at) => JSON.stringify(event) !== JSON.stringify(clean[at]))
    expect(changed.length).toBe(corrupted[kind])
    expect(changed.length).toBeGreaterThan(200)
    expect(new Set(changed.map(codeOf))).toEqual(new Set([code]))
  })

  it('by oversize exceeds the limit of data', () => {
    const { events } = generate(['oversize'], 2)
    for (const event of events) expect(Buffer.byteLength(JSON.stringify(event.data))).toBeGreaterThan(maxDataBytes)
  })

  it('by stale-sequence repeats a number that the subject has had', () => {
    const { events, clean } = generate(['stale-sequence'], 500)
    const stale = events.filter((event, at) => event.sequence !== clean[at]?.sequence)
    expect(stale.length).toBeGreaterThan(100)
    for (const event of stale) {
      const had = clean.slice(0, events.indexOf(event)).filter(({ subject }) => subject === event.subject)
      expect(had.map(({ sequence }) => sequence)).toContain(event.sequence)
    }
  })

  it.each([0.5, 1])(
    'by duplicate repeats what was sent last, id and bytes, and loses no event, at a ratio of %d',
    (ratio) => {
      const { events, corrupted, clean } = generate(['duplicate'], 400, ratio)
      const again = events.filter((event, at) => event === events[at - 1])
      expect(again.length).toBe(corrupted.duplicate)
      expect(Math.abs(again.length / 400 - ratio)).toBeLessThan(0.1)
      const first = events.filter((event, at) => event !== events[at - 1])
      expect(first.map(({ type, sequence }) => ({ type, sequence }))).toEqual(
        clean.slice(0, first.length).map(({ type, sequence }) => ({ type, sequence })),
      )
      for (const event of again) expect(codeOf(event)).toBe('valid')
    },
  )

  it('by duplicate and another repeats what the other has made', () => {
    const { events } = generate(['duplicate', 'missing-field'], 400, 0.8)
    const again = events.filter((event, at) => event === events[at - 1])
    expect(new Set(again.map(codeOf))).toEqual(new Set(['valid', 'contract']))
  })

  it('by poison touches the content of documents and the address of users', () => {
    const { events, clean } = generate(['poison'], 400)
    for (const [at, event] of events.entries()) {
      const [text, before] = [JSON.stringify(event.data), JSON.stringify(clean[at]?.data)]
      if (text === before) continue
      if (event.type.startsWith('user.')) expect(text).toMatch(/\+poison@/)
      else expect(text).toContain('<icon name=\\""')
    }
  })

  it('happens as often as asked, and leaves the other events as they are', () => {
    const { events, corrupted, clean } = generate(['wrong-type'], 10_000, 0.1)
    expect(corrupted['wrong-type']).toBeGreaterThan(900)
    expect(corrupted['wrong-type']).toBeLessThan(1_100)
    const same = events.filter((event, at) => JSON.stringify(event) === JSON.stringify(clean[at]))
    expect(same.length).toBe(10_000 - corrupted['wrong-type'])
  })
})

describe('parseCorruptions', () => {
  it('splits a list, and suggests what was meant', () => {
    expect(parseCorruptions('poison, duplicate')).toEqual(['poison', 'duplicate'])
    expect(() => parseCorruptions('poison,oversized')).toThrow('cannot corrupt by "oversized": there is no such kind')
    expect(() => parseCorruptions('')).toThrow(EvtError)
  })
})
