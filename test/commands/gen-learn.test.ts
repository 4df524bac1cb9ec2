import { readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { gzipSync } from 'node:zlib'
import { afterAll, describe, expect, it } from 'vitest'
import { createNowhere, runHere } from './evt.ts'

const nowhere = createNowhere()
afterAll(nowhere.dispose)
const path = (file: string) => join(nowhere.path, file)
const evt = (words: readonly string[], stdin = '') => runHere(words, { cwd: nowhere.path, stdin })
const parsed = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))

/** What some application said that evt knows nothing about. */
const order = (i: number) => ({
  specversion: '1.0',
  id: `o-${i}`,
  source: 'shop',
  type: i % 4 === 0 ? 'shop.basket.opened' : 'order.placed',
  time: new Date(Date.UTC(2026, 0, 1) + i * 250).toISOString(),
  subject: `order/${i % 40}`,
  data: {
    order_id: `0198c5d2-7a3e-7e5f-8a1b-${String(i % 40).padStart(12, '0')}`,
    email: `person${i}@corp.test`,
    status: ['open', 'paid', 'sent'][i % 3],
    quantity: 1 + (i % 7),
    price: 1.5 * (1 + (i % 9)),
    placed_at: new Date(Date.UTC(2026, 0, 1) + i * 250).toISOString(),
    tags: i % 2 ? ['new', 'gift'] : [],
    address: { city: 'Berlin', "odd 'name'": null },
    ...(i % 5 === 0 ? { voucher: `V${i}` } : {}),
  },
})
const traffic = Array.from({ length: 200 }, (_, i) => JSON.stringify(order(i))).join('\n')
writeFileSync(path('traffic.ndjson'), traffic)
writeFileSync(path('traffic.ndjson.gz'), gzipSync(traffic))
writeFileSync(path('empty.ndjson'), '\n\n')
writeFileSync(path('other.ndjson'), '{"a":1}\n[]\nnope\n')
writeFileSync(path('mixed.ndjson'), `{"a":1}\n${traffic}\nnope{\n{"type":7}\n`)
writeFileSync(path('broken.gz'), gzipSync(traffic).subarray(0, 900))
writeFileSync(path('damaged.gz'), Buffer.concat([gzipSync(traffic).subarray(0, 10), Buffer.alloc(300, 0xff)]))

describe('evt gen --learn', () => {
  it.each(['traffic.ndjson', 'traffic.ndjson.gz'])(
    'makes events like those of %s, the same for the same seed',
    async (file) => {
      const words = ['gen', '--learn', file, '--count', '800', '--seed', '5', '--dry-run']
      const [ran, again] = [await evt(words), await evt(words)]
      expect(ran).toMatchObject({ exit: 0, stdout: again.stdout })
      expect(ran.stderr).toContain('learned from 200 events of 2 types about 40 subjects')
      const events = parsed(ran.stdout)
      expect(events.filter(({ type }) => type === 'order.placed').length / 800).toBeCloseTo(0.75, 1)
      expect(new Set(events.map(({ data }) => data.status))).toEqual(new Set(['open', 'paid', 'sent']))
      expect(events.filter(({ data }) => 'voucher' in data).length / 800).toBeCloseTo(0.2, 1)
      for (const { data } of events) expect(data.quantity).toBeLessThanOrEqual(7)
      expect(ran.stdout).not.toContain('corp.test')
      const spanMs = Date.parse(events.at(-1).time) - Date.parse(events[0].time)
      expect(spanMs / 799).toBeCloseTo(250, -2)
    },
  )

  it('passes over what is no event, and says how much and why', async () => {
    const ran = await evt(['gen', '--learn', 'mixed.ndjson', '--count', '5', '--dry-run'])
    expect(ran.exit).toBe(0)
    expect(ran.stderr).toMatch(/passed over 3 lines that are no events; the first: line 1: /)
  })

  it('learns from what can be read of a gzipped recording that is broken off', async () => {
    const ran = await evt(['gen', '--learn', 'broken.gz', '--count', '5', '--dry-run'])
    expect(ran.exit, ran.stderr).toBe(0)
    expect(ran.stderr).toMatch(/broken\.gz: passed over 1 line that is no event; the first: line \d+: it is no JSON/)
  })

  it.each([
    ['empty.ndjson', 'empty.ndjson: it is empty'],
    ['other.ndjson', /cannot learn from .*other\.ndjson: none of 3 lines is an event \(line 1: /],
    ['damaged.gz', /damaged\.gz: none of 1 line is an event \(it is gzipped, and damaged: /],
    ['away.ndjson', 'away.ndjson: there is no such file'],
  ])('refuses %s', async (file, message) => {
    for (const words of [
      ['gen', '--learn', file, '--dry-run'],
      ['schema', 'infer', file],
    ]) {
      const ran = await evt(words)
      expect(ran.exit, ran.stderr).toBe(2)
      if (typeof message === 'string') expect(ran.stderr).toContain(message)
      else expect(ran.stderr).toMatch(message)
    }
  })
})

/** A recording in which everything is about few things, with ids that are no UUIDs. */
const recorded = (type: string, dataOf: (i: number) => object, count = 60) =>
  Array.from({ length: count }, (_, i) =>
    JSON.stringify({
      specversion: '1.0',
      id: `i${i}`,
      source: 's',
      type,
      time: '2026-01-01T00:00:00Z',
      data: dataOf(i),
    }),
  ).join('\n')

describe('a recording', () => {
  it('about few things with ids of their own is learned from: an id is no choice', async () => {
    writeFileSync(
      path('carts.ndjson'),
      recorded('cart.updated', (i) => ({ cart_id: `c${i % 5}`, customerId: `cust-${i % 3}`, state: 'ab'[i % 2] })),
    )
    const ran = await evt(['gen', '--learn', 'carts.ndjson', '--count', '3', '--dry-run'])
    expect(ran.exit, ran.stderr).toBe(0)
    const { stdout } = await evt(['schema', 'infer', 'carts.ndjson'])
    for (const line of ['cart_id: z.string(),', 'customerId: z.string(),', "state: z.enum(['a', 'b']),"]) {
      expect(stdout).toContain(line)
    }
  })
})

describe('what is odd in a recording', () => {
  it('a map at the top of the data is generated', async () => {
    writeFileSync(
      path('map.ndjson'),
      recorded('metric.sent', (i) => ({ [`host-${i}`]: i })),
    )
    const ran = await evt(['gen', '--learn', 'map.ndjson', '--count', '3', '--dry-run'])
    expect(ran.exit, ran.stderr).toBe(0)
    for (const { data } of parsed(ran.stdout)) expect(Object.values(data)).not.toEqual([])
  })

  it('names of what every object has are fields as others are; __proto__ cannot be one', async () => {
    const data = () => JSON.parse('{"__proto__":1,"constructor":{"x":1},"toString":"a"}')
    writeFileSync(path('names.ndjson'), recorded('a.constructor', data, 3))
    const ran = await evt(['gen', '--learn', 'names.ndjson', '--count', '3', '--dry-run'])
    expect(ran.exit, ran.stderr).toBe(0)
    expect(Object.keys(parsed(ran.stdout)[0].data)).toEqual(['constructor', 'toString'])
    expect((await evt(['schema', 'infer', 'names.ndjson'])).stdout).not.toContain('__proto__')
  })

  it('is said where nothing of it can have a contract', async () => {
    writeFileSync(
      path('no-type.ndjson'),
      recorded('Weird Type!', () => ({ a: 1 })),
    )
    for (const words of [
      ['gen', '--learn', 'no-type.ndjson', '--dry-run'],
      ['schema', 'infer', 'no-type.ndjson'],
    ]) {
      const ran = await evt(words)
      expect(ran.exit, ran.stderr).toBe(2)
      expect(ran.stderr).toMatch(/no-type\.ndjson: no contract can be made for Weird Type!\n.*lower-case words/)
    }
  })

  it('is no law: a text is a choice only when its values come again and again', async () => {
    const data = (i: number) => ({ rare: 'ab'[i % 2], one: 'x', often: 'ab'[i % 2] })
    writeFileSync(path('few.ndjson'), recorded('thing.seen', data, 12))
    const few = (await evt(['schema', 'infer', 'few.ndjson'])).stdout
    expect(few).toContain('rare: z.string(),')
    writeFileSync(path('many.ndjson'), recorded('thing.seen', data, 60))
    const many = (await evt(['schema', 'infer', 'many.ndjson'])).stdout
    expect(many).toContain("often: z.enum(['a', 'b']),")
    expect(many).toContain('one: z.string(),')
  })
})

describe('evt schema infer', () => {
  it('writes contracts from which valid events are made', async () => {
    const ran = await evt(['schema', 'infer', '-', '--service', 'shop', '--write', 'shop.ts'], traffic)
    expect(ran, ran.stderr).toMatchObject({ exit: 0, stdout: expect.stringContaining('shop.ts: 2 contracts') })
    const code = readFileSync(path('shop.ts'), 'utf8')
    for (const line of [
      "export const orderPlaced = defineEvent('order.placed', {",
      'order_id: z.guid(),',
      'email: sensitive(z.email()),',
      "status: z.enum(['open', 'paid', 'sent']),",
      'quantity: z.int().min(0).max(10),',
      'price: z.number().min(0).max(20),',
      'placed_at: z.iso.datetime({ offset: true }),',
      "tags: z.array(z.enum(['gift', 'new'])),",
      "'odd \\'name\\'': z.unknown().nullable(),",
      'voucher: z.string().optional(),',
    ]) {
      expect(code).toContain(line)
    }
    const root = resolve(import.meta.dirname, '../..')
    const here = code
      .replace("'evtctl'", JSON.stringify(join(root, 'src/index.ts')))
      .replace("'zod'", JSON.stringify(join(root, 'node_modules/zod/index.js')))
    writeFileSync(path('shop.ts'), here)
    writeFileSync(path('evt.config.ts'), "import shop from './shop.ts'\nexport default { services: [shop] }\n")
    const made = await evt(['gen', '*', '--count', '300', '--dry-run'])
    expect(made.exit, made.stderr).toBe(0)
    writeFileSync(path('made.ndjson'), made.stdout)
    const published = await evt(['gen', '-f', path('made.ndjson'), '--dry-run'])
    expect(published.exit, published.stderr).toBe(0)
    expect(new Set(parsed(made.stdout).map(({ type }) => type))).toEqual(
      new Set(['order.placed', 'shop.basket.opened']),
    )
  })

  it('writes over nothing, unless it is told to', async () => {
    await evt(['schema', 'infer', 'traffic.ndjson', '--write', 'there.ts'])
    expect(await evt(['schema', 'infer', 'traffic.ndjson', '--write', 'there.ts'])).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('it is there already'),
    })
    expect(await evt(['schema', 'infer', 'traffic.ndjson', '--write', 'there.ts', '--force'])).toMatchObject({
      exit: 0,
    })
  })

  it('tells scripts what it found', async () => {
    const { stdout } = await evt(['schema', 'infer', 'traffic.ndjson', '--json'])
    expect(JSON.parse(stdout).data.types).toContainEqual({ type: 'order.placed', events: 150, shape: 'object' })
  })
})
