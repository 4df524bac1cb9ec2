import { expect, it } from 'vitest'
import { createCalmLog } from '../../src/watch/calm-log.ts'

function listen() {
  const said: [string, string, object | undefined][] = []
  let nowMs = 0
  const say = (level: string) => (message: string, fields?: object) => void said.push([level, message, fields])
  const log = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
  const calm = createCalmLog(log, () => nowMs)
  return { said, calm, pass: (ms: number) => (nowMs += ms) }
}

it('says a warning that comes every second once a minute, with how often it was seen', () => {
  const { said, calm, pass } = listen()
  for (let second = 0; second < 61; second += 1) {
    calm.warn('cannot look', { error: 'no such table' })
    pass(1_000)
  }
  expect(said).toEqual([
    ['warn', 'cannot look', { error: 'no such table' }],
    ['warn', 'cannot look', { error: 'no such table', seen: 60 }],
  ])
})

it('holds back nothing that differs, nor anything that is no trouble', () => {
  const { said, calm } = listen()
  calm.warn('cannot look', { error: 'a' })
  calm.warn('cannot look', { error: 'b' })
  calm.error('cannot look', { error: 'b' })
  calm.error('cannot see', { error: 'b' })
  for (let n = 0; n < 2; n += 1) {
    calm.info('leading')
    calm.debug('a step')
  }
  expect(said.map(([level]) => level)).toEqual(['warn', 'warn', 'error', 'error', 'info', 'debug', 'info', 'debug'])
})
