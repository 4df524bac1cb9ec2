import { expect, test } from 'vitest'
import { placeOf } from '../../src/store/connection.ts'
import { isOutage, translateError } from '../../src/store/errors.ts'
import { createKeepAsking } from '../../src/store/keep-asking.ts'

const place = placeOf('postgres://u:p@h/db')
const failed = (code: string) => translateError(Object.assign(new Error('failed'), { code }), place)

function asking(first: Error) {
  const said: string[] = []
  let asked = 0
  const outage = { onLost: () => said.push('lost'), onBack: () => said.push('back') }
  const keepAsking = createKeepAsking(outage, AbortSignal.timeout(5_000))
  const ask = async () => {
    asked += 1
    if (asked === 1) throw first
    return 'answer'
  }
  return { said, answer: keepAsking(ask, 'none') }
}

test.each(['ECONNREFUSED', 'ECONNRESET', '57P01', '57P03', '08006', '53300'])('waits while it is %s', async (code) => {
  const { said, answer } = asking(failed(code))
  await expect(answer).resolves.toBe('answer')
  expect(said).toEqual(['lost', 'back'])
})

test('waits for a server that let a statement hang', async () => {
  const { answer } = asking(translateError(new Error('Query read timeout'), place))
  await expect(answer).resolves.toBe('answer')
})

test.each(['42501', '28P01', '28000', '3D000'])('does not wait for a server that refuses it: %s', async (code) => {
  const error = failed(code)
  expect(error).toMatchObject({ code: 'connect' })
  expect(isOutage(error)).toBe(false)
  const { said, answer } = asking(error)
  await expect(answer).rejects.toBe(error)
  expect(said).toEqual([])
})
