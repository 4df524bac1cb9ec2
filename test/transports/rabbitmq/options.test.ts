import { describe, expect, it } from 'vitest'
import { parseRabbitUrl } from '../../../src/transports/rabbitmq/options.ts'

describe('a RabbitMQ URL', () => {
  it.each([
    ['amqp://', { hosts: [{ hostname: 'localhost', port: 5672 }], username: 'guest', password: 'guest', vhost: '/' }],
    ['amqp://h/', { vhost: '/' }],
    ['amqp://h/%2F', { vhost: '/' }],
    ['amqp://h/my%2Fhost', { vhost: 'my/host' }],
    ['amqp://u%40x:p%2Fw@h:1', { username: 'u@x', password: 'p/w', hosts: [{ hostname: 'h', port: 1 }] }],
    ['amqp://user:pa:ss@h', { username: 'user', password: 'pa:ss' }],
    ['amqp://user@h', { username: 'user', password: '' }],
    [
      'amqp://a,b:5673,[::1]:5674/v',
      {
        hosts: [
          { hostname: 'a', port: 5672 },
          { hostname: 'b', port: 5673 },
          { hostname: '::1', port: 5674 },
        ],
      },
    ],
    ['amqps://h', { hosts: [{ hostname: 'h', port: 5671 }], tls: { verify: true } }],
    ['amqps://h?ca=/a.pem&verify=false', { tls: { ca: '/a.pem', verify: false } }],
    ['amqp://h/v?exchange=events&key=user.%23', { exchange: 'events', bindingKey: 'user.#' }],
    ['amqp://h?queue=orders&heartbeat=10', { queue: 'orders', heartbeatSeconds: 10 }],
  ])('%s is read', (url, expected) => expect(parseRabbitUrl(url)).toMatchObject(expected))

  it('takes the login for the management API from the URL', () => {
    const { management } = parseRabbitUrl('amqp://u:p@h?management=http://m:15672')
    expect([management?.username, management?.password, management?.host]).toEqual(['u', 'p', 'm:15672'])
  })

  it.each([
    ['amqp://h?exchnage=a', 'no parameter exchnage'],
    ['amqp://h?exchange=a&queue=b', 'both an exchange and a queue'],
    ['amqp://h?key=a', '?key= needs an exchange'],
    ['amqp://h?queue=', 'has no value'],
    ['amqp://h:99999', 'no host with a port'],
    ['amqp://h?heartbeat=0', 'not 1 to 300 seconds'],
    ['amqp://h/%zz', 'percent-encoded'],
    ['amqp://h?management=m:1', 'no http:// or https:// URL'],
  ])('%s is refused', (url, reason) => {
    expect(() => parseRabbitUrl(url)).toThrow(
      expect.objectContaining({ code: 'usage', message: expect.stringContaining(reason) }),
    )
  })

  it('lists what it knows, and hides the password', () => {
    try {
      parseRabbitUrl('amqp://u:secret@h?nonsense=1')
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({
        hint: 'known: exchange, key, queue, management, heartbeat, ca, cert, certkey, verify',
      })
      expect(String(error)).not.toContain('secret')
    }
  })
})
