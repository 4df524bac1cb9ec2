import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { type Apart, createApart } from '../../src/handle/apart.ts'

const runAlone = <T>(apart: Apart, run: (isShared: boolean) => Promise<T>, share = async () => {}) =>
  apart.alone({ run, share })

it('is alone when all that had entered have left, one at a time, and who comes meanwhile waits', async () => {
  const apart = createApart(60_000)
  const said: string[] = []
  expect(apart.enter()).toBeUndefined()
  const ends = Promise.withResolvers<void>()
  const first = runAlone(apart, async () => {
    said.push('first begins')
    await ends.promise
    said.push('first ends')
  })
  const second = runAlone(apart, async () => void said.push('second'))
  await delay(5)
  expect(said).toEqual([])
  apart.leave()
  await delay(5)
  const entering = apart.enter()?.then(() => {
    said.push('another')
    apart.leave()
  })
  await delay(5)
  expect(said).toEqual(['first begins'])
  ends.resolve()
  await Promise.all([first, second, entering])
  expect(said.toSorted()).toEqual(['another', 'first begins', 'first ends', 'second'])
  expect(said.slice(0, 2)).toEqual(['first begins', 'first ends'])
  expect(apart.enter()).toBeUndefined()
})

it('is alone too when others waited with it for the one before', async () => {
  const apart = createApart(60_000)
  const ends = Promise.withResolvers<void>()
  const begun = Promise.withResolvers<void>()
  const first = runAlone(apart, () => {
    begun.resolve()
    return ends.promise
  })
  await begun.promise
  let beside = 0
  const seen: [boolean, number, number][] = []
  const lones = Array.from({ length: 3 }, () =>
    runAlone(apart, async (isShared) => {
      const before = beside
      await delay(5)
      seen.push([isShared, before, beside])
    }),
  )
  const others = Array.from({ length: 3 }, async () => {
    await apart.enter()
    beside += 1
    await delay(5)
    beside -= 1
    apart.leave()
  })
  ends.resolve()
  await Promise.all([first, ...lones, ...others])
  expect(seen).toEqual([0, 1, 2].map(() => [false, 0, 0]))
})

it('waits for nobody for ever, and says so before others are let in', async () => {
  const apart = createApart(5)
  expect(apart.enter()).toBeUndefined()
  const hangs = Promise.withResolvers<void>()
  const said: string[] = []
  const first = runAlone(apart, async (isShared) => void said.push(`first ${isShared}`))
  await first
  apart.leave()
  const second = runAlone(
    apart,
    async (isShared) => {
      said.push(`second ${isShared}`)
      await hangs.promise
    },
    async () => void said.push('second shares'),
  )
  // However long it takes: nobody is beside it until somebody comes.
  await delay(30)
  expect(said).toEqual(['first true', 'second false'])
  await apart.enter()
  said.push('another')
  apart.leave()
  // The one that hangs does not keep the turn.
  await runAlone(apart, async (isShared) => void said.push(`third ${isShared}`))
  expect(said).toEqual(['first true', 'second false', 'second shares', 'another', 'third true'])
  hangs.resolve()
  await second
})

it('goes on after work that throws', async () => {
  const apart = createApart()
  await expect(runAlone(apart, () => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await runAlone(apart, async () => 'yes')).toBe('yes')
  expect(apart.enter()).toBeUndefined()
})
