import { brokerRules, brokers } from '../../core/broker-rules.ts'
import { EvtError } from '../../core/errors.ts'
import { choice, defineCommand, text, value } from '../command.ts'
import { loadRegistry, loadServices } from '../line/services.ts'

const targets = [...brokers, 'postgres'] as const

export default defineCommand({
  name: 'access print',
  section: 'set up',
  summary: 'the access rules of the configured services, as a server’s administrator types them',
  description: [
    'Nothing is changed: read it, put passwords where it says PASSWORD, and run it. For brokers whose topics are by type (layout',
    'per-type); in one topic for all types no broker can tell them apart, and evt alone holds the rules. For Postgres a role of the',
    'name of each service, which may publish by SQL what the service may.',
  ].join('\n'),
  examples: [
    { line: 'evt access print --for kafka', says: 'kafka-acls.sh, line by line', needs: 'nothing' },
    { line: 'evt access print --for postgres', says: 'SQL for who owns the schema', needs: 'nothing' },
  ],
  args: {},
  options: {
    for: value({ value: 'server', says: targets.join(', '), parse: choice(targets) }),
    prefix: value({
      value: 'text',
      says: 'before the type in topics',
      parse: text,
      shownDefault: 'events. or events:',
    }),
  },
  async run({ options: { for: target, prefix } }, runtime) {
    if (!target)
      throw new EvtError('usage', 'cannot print the rules: --for is missing', {
        hint: `--for ${targets.join(', --for ')}`,
      })
    const services = await loadServices(runtime)
    const free = services.filter(({ publishes, subscribes }) => !publishes && !subscribes).map(({ name }) => name)
    const lines =
      target === 'postgres'
        ? await forPostgres(services)
        : brokerRules(target, services, { prefix, types: (await loadRegistry(runtime)).types() })
    for (const line of lines) await runtime.output.write(`${line}\n`)
    if (free.length > 0)
      runtime.output.notice(
        `without rules of their own, so everything is allowed: ${free.join(', ')} (publishes and subscribes of defineService)`,
      )
    return undefined
  },
})

async function forPostgres(services: Awaited<ReturnType<typeof loadServices>>): Promise<readonly string[]> {
  const { setAccessText } = await import('../../store/access.ts')
  return services.flatMap(({ name, publishes }) => [
    `create role "${name}" login; -- password 'PASSWORD'`,
    `grant evt_publisher to "${name}";`,
    ...(publishes ? [setAccessText({ role: name, patterns: publishes })] : []),
  ])
}
