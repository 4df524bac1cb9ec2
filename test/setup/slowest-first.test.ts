import { existsSync } from 'node:fs'
import { expect, test } from 'vitest'
import { slowest } from './slowest-first.ts'

test('the files that start first are there, each named once', () => {
  expect(slowest.filter((name) => !existsSync(name))).toEqual([])
  expect(new Set(slowest).size).toBe(slowest.length)
})
