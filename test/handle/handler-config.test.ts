import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../src/core/define-event.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import type { HandlerDefinition } from '../../src/handle/handler.ts'
import { resolveHandler } from '../../src/handle/handler-config.ts'

const created = defineEvent('user.created', {
  1: z.object({ name: z.string() }),
  2: { schema: z.object({ name: z.string(), age: z.number() }), upcast: (old) => ({ ...old, age: 0 }) },
})

const definition = (extra: Partial<HandlerDefinition> = {}): HandlerDefinition => ({
  name: 'icons.preferences',
  on: ['user.*'],
  handle() {},
  ...extra,
})

describe('a handler definition', () => {
  it('has the defaults that its contract names', () => {
    expect(resolveHandler(definition())).toMatchObject({
      service: 'icons',
      priority: 'normal',
      concurrency: 16,
      workers: 4,
      width: 4,
      timeoutMs: 30_000,
      attempts: 5,
      backoff: { backoff: 'exponential', initialMs: 1000, maxMs: 600_000 },
      ordered: true,
      blockAfterDead: false,
      transaction: 'batch',
      start: 'latest',
    })
  })

  it('asks for the versions of the tokens that it lists', () => {
    expect(resolveHandler(definition({ on: [created] })).versions).toEqual(new Map([['user.created', 2]]))
    expect(resolveHandler(definition({ on: [created.v1, 'document.*'] })).versions).toEqual(
      new Map([['user.created', 1]]),
    )
  })

  it.each<[string, Partial<HandlerDefinition>, RegExp]>([
    ['a name with spaces', { name: 'My Handler' }, /lower-case/],
    ['nothing to listen to', { on: [] }, /listens to nothing/],
    ['concurrency 0', { concurrency: 0 }, /concurrency is 0/],
    ['a timeout without unit', { timeout: '30' }, /timeout: .*unit is missing/],
    ['a timeout of nothing', { timeout: '0' }, /timeout is not above zero/],
    ['half an attempt', { retry: { attempts: 0.5 } }, /retry.attempts is 0.5/],
    ['a wrong pattern', { on: ['user..x'] }, /handler "icons\.preferences": .*a segment is empty[\s\S]*user\.\.x/],
    ['one type in two versions', { on: [created.v1, created] }, /in two versions/],
  ])('is refused with %s, by name', (_, extra, message) => {
    expect(() => resolveHandler(definition(extra))).toThrow(message)
  })

  it.each<[string, object, RegExp, string]>([
    ['an option that it does not have', { timout: '3s' }, /it has no option timout/, 'did you mean timeout?'],
    ['one of its retry', { retry: { attemps: 3 } }, /no option retry\.attemps/, 'did you mean attempts?'],
    ['one of its breaker', { breaker: { window: '1m', subject: 3 } }, /breaker\.subject/, 'did you mean subjects?'],
    ['no such ordering', { ordering: 'subjects' }, /ordering subjects is unknown/, 'did you mean subject?'],
    ['no such start', { start: 'now' }, /start now is unknown/, 'one of earliest, latest'],
    ['no such backoff', { retry: { backoff: 'linear' } }, /retry\.backoff linear/, 'one of exponential, fixed'],
    ['no `on`', { on: undefined }, /listens to nothing/, 'list contracts'],
    ['what is not there', { on: [undefined] }, /on\.0 is no contract/, 'exported'],
    ['nothing to do', { handle: undefined }, /handle is no function/, 'async handle'],
    ['a number for retry', { retry: 3 }, /retry is no object/, 'attempts'],
  ])('is refused with %s, and says what was meant', (_, extra, message, hint) => {
    const refused = () => resolveHandler({ ...definition(), ...extra } as HandlerDefinition)
    expect(refused).toThrow(expect.objectContaining({ code: 'config', message: expect.stringMatching(message) }))
    expect(refused).toThrow(expect.objectContaining({ hint: expect.stringContaining(hint) }))
  })

  it('may be of a class, with fields of its own, and with options that are undefined', () => {
    class Counting implements HandlerDefinition {
      readonly name = 'test.counting'
      readonly on = ['user.*']
      seen = 0
      handle() {
        this.seen += 1
      }
    }
    expect(resolveHandler(new Counting()).name).toBe('test.counting')
    expect(resolveHandler({ ...definition(), of: undefined } as HandlerDefinition).name).toBe('icons.preferences')
  })

  it('types the event by the contracts that it lists', () => {
    const typed = defineHandler({
      name: 'typed.handler',
      on: [created],
      handle(event) {
        const age: number = event.data.age
        // @ts-expect-error the contract has no such field
        return void [age, event.data.nothing]
      },
    })
    expect(typed.name).toBe('typed.handler')
  })
})
