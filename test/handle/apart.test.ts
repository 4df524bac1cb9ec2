import { setTimeout as delay } from 'node:timers/promises'
import { expect, it } from 'vitest'
import { createApart } from '../../src/handle/apart.ts'

it('is alone when all that had entered have left, one at a time, and who comes meanwhile waits', async () => {
  const apart = createApart(60_000)
  const said: string[] = []
  expect(apart.enter()).toBeUndefined()
  const ends = Promise.withResolvers<void>()
  const first = apart.alone(async () => {
    said.push('first begins')
    await ends.promise
    said.push('first ends')
  })
  const second = apart.alone(async () => void said.push('second'))
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

it('waits for nobody for ever', async () => {
  const apart = createApart(5)
  expect(apart.enter()).toBeUndefined()
  const hangs = Promise.withResolvers<void>()
  const alone = apart.alone(() => hangs.promise)
  await delay(0)
  const entering = apart.enter()
  expect(entering).toBeInstanceOf(Promise)
  await entering
  expect(apart.enter()).toBeUndefined()
  hangs.resolve()
  await alone
})

it('goes on after work that throws', async () => {
  const apart = createApart()
  await expect(apart.alone(() => Promise.reject(new Error('no')))).rejects.toThrow('no')
  expect(await apart.alone(async () => 'yes')).toBe('yes')
  expect(apart.enter()).toBeUndefined()
})
