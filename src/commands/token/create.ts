import { EvtError } from '../../core/errors.ts'
import { compilePatterns } from '../../core/pattern.ts'
import { type TokenScope, tokenScopes } from '../../store/tokens.ts'
import { choice, defineCommand, type Parse, value } from '../command.ts'
import { refuseWhenReadonly } from '../line/consent.ts'
import { auditAs, operatorName } from '../line/operator.ts'
import { duration, formatOptions, list, storeOptions } from '../line/options.ts'
import { withOwnOrStore } from '../line/own-store.ts'

const scopesOf: Parse<readonly TokenScope[]> = (given, context) => [
  ...new Set(list(given, context).map((one) => choice(tokenScopes)(one, context))),
]
const patternsOf: Parse<readonly string[]> = (given, context) => {
  // A comma within braces belongs to its pattern.
  const patterns = given.split(/,(?![^{]*\})/).flatMap((one) => one.trim() || [])
  compilePatterns(patterns)
  return patterns.length > 0 ? patterns : list(given, context)
}
const nameOf: Parse<string> = (given) => {
  if (/^[\w.-]{1,64}$/.test(given)) return given
  throw new Error('a name is up to 64 letters, digits, dots, dashes and underscores')
}

export default defineCommand({
  name: 'token create',
  section: 'set up',
  summary: 'make a bearer token for HTTP, and show it once',
  description: [
    'On the embedded store of this project also while nothing runs. Only its SHA-256 is kept: one that is lost is made again. It may publish (POST /events), read (GET /events, /stats,',
    '/metrics) or operate (/stats, /metrics), and only events of its types. The token alone is on stdout, for a variable:',
    '  export EVT_TOKEN=$(evt token create --scope publish --name ci)',
  ].join('\n'),
  examples: [
    {
      line: "evt token create --scope publish --types 'user.*' --expires 30d --name ci",
      says: 'for a pipeline that publishes user events',
    },
    { line: 'evt token create --scope read --name prometheus', says: 'for GET /metrics' },
  ],
  args: {},
  options: {
    name: value({ value: 'name', says: 'whose it is: in the list, in the audit log, for revoke', parse: nameOf }),
    scope: value({ value: 'scopes', says: 'publish, read, operate; separated by commas', parse: scopesOf }),
    types: value({ value: 'patterns', says: 'only events of these types', parse: patternsOf, shownDefault: "'*'" }),
    expires: value({ value: 'time', says: 'for how long it opens something', parse: duration, shownDefault: 'ever' }),
    ...storeOptions,
    ...formatOptions,
  },
  async run({ options: { name, scope = [], types = ['*'], expires } }, runtime) {
    if (name === undefined || scope.length === 0)
      throw new EvtError('usage', `cannot create a token: ${name === undefined ? '--name' : '--scope'} is missing`, {
        hint: 'evt token create --scope publish,read --name ci',
      })
    if (expires === 0) throw new EvtError('usage', 'cannot create a token: --expires 0 is over at once')
    return withOwnOrStore(runtime, { command: 'token create', max: 1, changes: true }, async (store) => {
      refuseWhenReadonly(runtime, `create token ${name} on ${store.url}`)
      const { createToken } = await import('../../store/tokens.ts')
      const expiresAt = expires === undefined ? undefined : new Date(runtime.now() + expires)
      const wanted = { name, scopes: scope, types, createdBy: operatorName(), expiresAt }
      const audit = await auditAs('token create', { target: name, details: { scopes: scope, types, expiresAt } })
      const { token, facts } = await createToken(store, wanted, audit)
      const until = facts.expiresAt === null ? 'without end' : `until ${facts.expiresAt}`
      runtime.output.result({ data: { token, ...facts }, meta: { store: store.url }, render: () => token })
      runtime.output.notice(`token ${name} on ${store.url}: ${scope.join(', ')}; ${types.join(' ')}; ${until}`)
      runtime.output.notice(`nobody can show it again; take it away with: evt token revoke ${name}`)
      return undefined
    })
  },
})
