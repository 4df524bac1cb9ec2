import { describe, expect, it } from 'vitest'
import { assertSubscribes, covers, createAccess, isDenied } from '../../src/core/access.ts'
import { brokerRules } from '../../src/core/broker-rules.ts'

describe('covers', () => {
  it.each<[readonly string[], string, boolean]>([
    [['user.*'], 'user.created', true],
    [['user.*'], 'user.*', true],
    [['user.*'], 'user.profile.*', true],
    [['user.*'], 'user.**', false], // `user` itself
    [['user.**'], 'user.*', true],
    [['user.*'], '*', false],
    [['*'], '**', true],
    [['user.created'], 'user.*', false],
    [['user.{created,deleted}'], 'user.created', true],
    [['user.*'], '{user,order}.created', false],
    [['user.*', 'order.*'], '{user,order}.created', true],
    [['user.*.done'], 'user.*.done', true],
    [['user.*.done'], 'user.**.done', false],
    [['*.done'], 'user.*.done', true],
    [['user.*'], '*.created', false],
    [[], 'user.created', false],
  ])('%j and %s: %s', (allowed, wanted, expected) => {
    expect(covers(allowed, wanted)).toBe(expected)
  })
})

describe('access rules', () => {
  it('refuse what a service may not publish, and say what it may', () => {
    const access = createAccess({ name: 'users', publishes: ['user.*'] })
    access?.assertPublish('user.created')
    const thrown = caught(() => access?.assertPublish('order.paid'))
    expect(isDenied(thrown)).toBe(true)
    expect(thrown).toMatchObject({ code: 'refused', message: 'cannot publish order.paid: users may publish user.*' })
    expect(createAccess({ name: 'free' })).toBeUndefined()
  })

  it('name the handler that subscribes to what its service may not', () => {
    const rules = { name: 'users', subscribes: ['order.*'] }
    assertSubscribes(rules, [{ name: 'users.bill', on: ['order.paid', { type: 'order.placed' }] }])
    expect(() => assertSubscribes(rules, [{ name: 'users.spy', on: ['order.paid', '*'] }])).toThrow(
      'cannot use handler users.spy: users may not subscribe to *',
    )
  })

  it('are printed as each broker has them', () => {
    const services = [{ name: 'users', publishes: ['user.*'], subscribes: ['order.{paid,placed}', '*.failed'] }]
    const types = ['order.paid', 'import.failed', 'user.failed']
    const kafka = brokerRules('kafka', services, { types })
    expect(kafka[0]).toContain(
      '--operation Write --operation Describe --operation Create --topic events.user. --resource-pattern-type prefixed',
    )
    expect(kafka.join('\n')).toContain('--operation Read --operation Describe --topic events.import.failed')
    expect(kafka.join('\n')).not.toMatch(/Write.*order/)
    const [redis = ''] = brokerRules('redis', services, { types })
    expect(redis).toContain("'~events:user.*'")
    expect(redis).toContain('%R~events:order.paid')
    const [rabbit = ''] = brokerRules('rabbitmq', services, { types })
    expect(rabbit).toMatch(/^rabbitmqctl set_permissions --vhost \/ users '/)
    const write = new RegExp((rabbit.match(/'([^']*)'/)?.[1] ?? '').split('|^')[0] as string)
    expect(write.test('events.user.created')).toBe(true)
    expect(write.test('events.order.paid')).toBe(false)
  })
})

function caught(work: () => unknown): unknown {
  try {
    work()
  } catch (error) {
    return error
  }
  throw new Error('nothing was thrown')
}
