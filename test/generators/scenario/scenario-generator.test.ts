import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { formatCloudEvent } from '../../../src/core/codec/cloudevents.ts'
import type { EvtEvent } from '../../../src/core/event.ts'
import { createRegistry } from '../../../src/core/registry.ts'
import type { ScenarioStep } from '../../../src/core/scenario.ts'
import { parseScenario } from '../../../src/generators/scenario/parse-scenario.ts'
import type { PlacedScenario } from '../../../src/generators/scenario/place.ts'
import type { Expectation } from '../../../src/generators/scenario/program.ts'
import {
  createScenarioGenerator,
  type ScenarioGeneratorOptions,
  type ScenarioItem,
} from '../../../src/generators/scenario/scenario-generator.ts'
import { contracts } from '../../../src/services/icons/contracts.ts'

const registry = createRegistry(contracts)
const nowMs = Date.UTC(2026, 0, 1)
const file = join(import.meta.dirname, '../../../fixtures/scenarios/working-day.yaml')
const workingDay = parseScenario(readFileSync(file, 'utf8'), 'working-day.yaml')

function play(scenarios: readonly PlacedScenario[], more: Partial<ScenarioGeneratorOptions> = {}): ScenarioItem[] {
  const generator = createScenarioGenerator({ registry, scenarios, seed: 7, nowMs, count: 50, ...more })
  const items: ScenarioItem[] = []
  for (let item = generator.next(); item; item = generator.next()) items.push(item)
  return items
}

// biome-ignore lint/suspicious/noExplicitAny: payloads of many contracts
type Any = EvtEvent<any>
const eventsOf = (items: readonly ScenarioItem[]): Any[] =>
  items.flatMap((item) => ('event' in item ? [item.event] : []))
const steps = (given: readonly ScenarioStep[], name = 'x'): PlacedScenario => ({
  definition: { scenario: name, steps: given },
  place: 'test',
})

describe('a scenario', () => {
  const items = play([workingDay])
  const events = eventsOf(items)
  const ofInstance = (n: number) => eventsOf(items.filter(({ instance }) => instance === n))

  it('makes events that fit their contracts, each about the things of its instance', () => {
    for (const event of events) registry.validate(event)
    for (let n = 1; n <= 50; n++) {
      const mine = ofInstance(n)
      const [user] = mine as [Any]
      expect(user).toMatchObject({ type: 'user.created', metadata: { campaign: 'autumn' } })
      expect(user.data.user_data.plan).toBe('pro')
      expect(mine.every(({ data }) => data.user_id === user.data.user_id)).toBe(true)
      const titles = mine.filter(({ type }) => type === 'document.created').map(({ data }) => data.document_data.title)
      expect(new Set(titles)).toEqual(new Set([`Notes of ${user.data.user_data.name}`]))
      expect(mine.every(({ correlationId }) => correlationId === user.id)).toBe(true)
    }
    const published = events.filter(({ type }) => type === 'document.published')
    const created = new Map(
      events.filter(({ type }) => type === 'document.created').map((one) => [one.id, one.subject]),
    )
    for (const { causationId = '', subject } of published) expect(created.get(causationId)).toBe(subject)
  })

  it('takes every way about as often as its share says, and repeats as often as it may', () => {
    const all = eventsOf(play([workingDay], { count: 2_000 }))
    const count = (type: string) => all.filter((event) => event.type === type).length
    expect(count('user.deleted') / 2_000).toBeCloseTo(0.2, 1)
    expect(count('document.published') / count('document.created')).toBeCloseTo(0.3, 1)
    expect(count('document.created') / 2_000).toBeCloseTo(2.5, 1)
  })

  it('lets time pass between its steps, and others go on meanwhile', () => {
    expect(items.map(({ dueMs }) => dueMs)).toEqual(items.map(({ dueMs }) => dueMs).toSorted((a, b) => a - b))
    expect(events.map(({ time }) => Date.parse(time))).toEqual(items.map(({ dueMs }) => nowMs + Math.floor(dueMs)))
    const [created, login] = ofInstance(1).map(({ time }) => Date.parse(time)) as [number, number]
    expect(login - created).toBeGreaterThanOrEqual(2_000)
    expect(login - created).toBeLessThanOrEqual(30_001)
    expect(items[1]?.instance).toBe(2)
    for (let n = 1; n <= 50; n++) {
      const times = ofInstance(n).map(({ time }) => time)
      expect(times).toEqual([...new Set(times)].sort())
    }
  })

  it('numbers the events of each subject, and names whose they are', () => {
    const sequences = new Map<string, number>()
    for (const { subject = '', sequence, actor, data } of events) {
      expect(sequence).toBe((sequences.get(subject) ?? 0) + 1)
      sequences.set(subject, sequence as number)
      expect(actor).toEqual({ userId: data.user_id })
    }
  })

  it('is the same, byte for byte, for the same seed, and another for another', () => {
    const text = (seed: number) =>
      eventsOf(play([workingDay], { seed, corrupt: { kinds: ['missing-field'], ratio: 0.1 } }))
        .map((event) => formatCloudEvent(event))
        .join('\n')
    expect(text(7)).toBe(text(7))
    expect(text(8)).not.toBe(text(7))
  })

  it('says each event once more by duplicate, and loses none', () => {
    const items = play([workingDay], { corrupt: { kinds: ['duplicate'], ratio: 1 } })
    const ids = eventsOf(items).map(({ id }) => id)
    expect(ids.length).toBe(2 * new Set(ids).size - 1)
    expect(new Set(ids).size).toBe(events.length)
    expect(items.map(({ dueMs }) => dueMs)).toEqual(items.map(({ dueMs }) => dueMs).toSorted((a, b) => a - b))
  })

  it('is faster by --speed', () => {
    const last = (speed: number) => Math.max(...play([workingDay], { speed, count: 1 }).map(({ dueMs }) => dueMs))
    expect(last(10)).toBeLessThan(last(1) / 5)
  })

  it('may be one of several, by weight, of one of several tenants', () => {
    const other = steps([{ publish: 'system.health_reported' }], 'health')
    const mixed = play([workingDay, other], { weights: { 'working-day': 3 }, count: 1_000, tenants: 4 })
    const first = new Map(mixed.map(({ instance, scenario }) => [instance, scenario]))
    expect([...first.values()].filter((name) => name === 'health').length / 1_000).toBeCloseTo(0.25, 1)
    const tenants = new Map<number, Set<string | undefined>>()
    for (const item of mixed) {
      if (!('event' in item)) continue
      tenants.set(item.instance, (tenants.get(item.instance) ?? new Set()).add(item.event.tenant))
    }
    expect([...tenants.values()].every((one) => one.size === 1)).toBe(true)
    expect(new Set([...tenants.values()].flatMap((one) => [...one])).size).toBe(4)
  })
})

describe('references', () => {
  it('keep the type of what they are alone, are text in a text, and follow two things of a kind', () => {
    const [seller, buyer, document] = eventsOf(
      play(
        [
          steps([
            { publish: 'user.created', as: 'seller' },
            { publish: 'user.created', as: 'buyer' },
            {
              publish: 'document.created',
              set: {
                'data.user_id': '${seller.data.user_id}',
                'data.document_data.is_public': '${seller.data.user_data.is_active}',
                'data.document_data.title': '$${no} ${buyer.data.user_data.name} ${buyer.sequence}',
              },
            },
          ]),
        ],
        { count: 1 },
      ),
    ) as [Any, Any, Any]
    expect(seller.data.user_id).not.toBe(buyer.data.user_id)
    expect(document.data).toMatchObject({
      user_id: seller.data.user_id,
      document_data: { is_public: true, title: `\${no} ${buyer.data.user_data.name} 1` },
    })
    expect(document.actor).toEqual({ userId: seller.data.user_id })
  })

  it('make the subject, the cause and what is expected', () => {
    const items = play(
      [
        steps([
          { publish: 'user.created', as: 'user', subject: 'person/${user.data.user_id}' },
          { publish: 'auth.login', as: 'login' },
          { publish: 'auth.logout', causedBy: 'user' },
          { expect: 'user.*', where: 'data.user_id == "${user.data.user_id}" and sequence > ${login.sequence}' },
        ]),
      ],
      { count: 1 },
    )
    const [user, login, logout] = eventsOf(items) as [Any, Any, Any]
    expect(user.subject).toBe(`person/${user.data.user_id}`)
    expect([login.causationId, logout.causationId]).toEqual([user.id, user.id])
    const [expectation] = items.flatMap((item) => ('expectation' in item ? [item.expectation] : [])) as [Expectation]
    expect(expectation).toEqual({
      pattern: 'user.*',
      where: `data.user_id == "${user.data.user_id}" and sequence > ${login.sequence}`,
      withinMs: 5_000,
      step: 'steps[3]',
    })
  })
})

describe('a scenario that cannot be played', () => {
  const yaml = (lines: string) => `scenario: x\nsteps:\n${lines}`
  const library = [steps([{ include: 'b' }], 'a'), steps([{ think: '1s' }, { include: 'a' }], 'b')]
  it.each([
    [
      '  - publish: user.creatd',
      ':3: steps[0].publish: user.creatd: no contract of that type',
      'did you mean user.created?',
    ],
    ['  - publish: user.created@9', ':3: steps[0].publish: user.created@9: it has versions 1 to 2', undefined],
    ['  - publish: user.*', ':3: steps[0].publish', undefined],
    ['  - think: 1s\n  - include: x', ':4: steps[1].include: it includes itself: x → x', 'use repeat'],
    ['  - include: a', ':3', 'use repeat'],
    ['  - include: aa', ':3: steps[0].include: there is no scenario aa', 'did you mean a?'],
    [
      '  - publish: user.created\n    set: { data.user_data.plam: pro }',
      ':4: steps[0].set.data.user_data.plam: user.created v2 has no such field',
      'did you mean data.user_data.plan?',
    ],
    [
      '  - publish: user.created\n    set:\n      data.user_data.plan: gold',
      ':5: steps[0].set.data.user_data.plan: data.user_data.plan does not fit user.created v2',
      undefined,
    ],
    [
      '  - publish: user.created\n    set: { tenat: a }',
      ':4: steps[0].set.tenat: an event has no such field',
      'tenant',
    ],
    [
      '  - publish: user.created\n    set: { priority: big }',
      ':4: steps[0].set.priority: expected one of crit',
      undefined,
    ],
    [
      '  - publish: auth.login\n    set: { data.user_id: "${user.data.user_id}" }\n  - publish: user.created\n    as: user',
      ':4: steps[0].set.data.user_id: ${user.data.user_id}: the step of that name comes later',
      'refer to a step before it',
    ],
    [
      '  - publish: user.created\n    as: user\n  - publish: auth.login\n    set: { data.user_id: "${usr.data.user_id}" }',
      ':6: steps[1].set.data.user_id: ${usr.data.user_id}: no step has that name',
      'did you mean user?',
    ],
    [
      '  - publish: user.created\n    as: user\n  - publish: auth.login\n    set: { data.user_id: "${user.data.usr_id}" }',
      ':6: steps[1].set.data.user_id: ${user.data.usr_id}: user.created v2 has no data.usr_id',
      'did you mean data.user_id?',
    ],
    ['  - publish: user.created\n    causedBy: him', ':4: steps[0].causedBy: him: no step has that name', undefined],
    [
      '  - repeat: 2\n    steps:\n      - publish: user.created\n        as: user\n  - publish: auth.login\n    causedBy: user',
      ':8: steps[1].causedBy: user: the step of that name comes later, is this one, or stands in a branch',
      undefined,
    ],
    [
      '  - expect: user.creatd',
      ':3: steps[0].expect: user.creatd: no contract of that type',
      'did you mean user.created?',
    ],
    ['  - expect: user.*\n    where: data.x ===', ':4: steps[0].where: ', undefined],
    ['  - choose:\n      - share: 0.4\n        steps: []', ':3: steps[0].choose: the shares sum to 0.4', 'share: 0.6'],
    ['  - publish: user.created\n    sets: {}', ':4: steps[0]: there is no key "sets" here', 'did you mean set?'],
    ['  - publish: [', ':3: ', 'YAML'],
    ['  - publish: a.b\n    publish: c.d', ':4: ', 'YAML'],
  ])('names file, line and remedy: %s', (lines, message, hint) => {
    const error = (() => {
      try {
        return play([parseScenario(yaml(lines), './my.yaml')], {
          library: [...library, parseScenario(yaml(lines), './my.yaml')],
        })
      } catch (thrown) {
        return thrown as Error & { hint?: string }
      }
    })() as Error & { hint?: string }
    expect(error.message).toContain(
      message.startsWith(':3') && lines.includes('include: a') && !lines.includes('aa')
        ? 'a → b → a'
        : `./my.yaml${message}`,
    )
    expect(error.hint).toContain(hint ?? '')
  })

  it.each([
    ['', './my.yaml: it is empty'],
    ['# nothing\n', './my.yaml: it is empty'],
    ['just text', './my.yaml:1: expected object'],
    ['scenario: x', './my.yaml:1: steps: is missing'],
    ['steps: [{ think: 1s }]', './my.yaml:1: scenario: is missing'],
    ['a: &a [*a]', 'my.yaml'],
  ])('says what is wrong with a file of %j', (text, message) => {
    expect(() => play([parseScenario(text, './my.yaml')])).toThrow(message)
  })
})
