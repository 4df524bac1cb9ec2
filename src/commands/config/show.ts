import { type ConfigKey, configKeys } from '../../config/keys.ts'
import { EvtError } from '../../core/errors.ts'
import { suggestion } from '../../core/suggest.ts'
import { renderTable } from '../../output/table.ts'
import { argumentList, defineCommand, flag } from '../command.ts'
import { formatOptions, storeOptions } from '../line/options.ts'
import { requireStore } from '../line/store.ts'
import type { Runtime } from '../runtime.ts'

interface Row {
  readonly key: string
  readonly value: string
  readonly origin: string
  readonly says: string
}

export default defineCommand({
  name: 'config show',
  section: 'set up',
  summary: 'every setting, and where its value came from',
  description: [
    'Flag > environment > evt.config.* (up to the git root) > $XDG_CONFIG_HOME/evt/config.yaml > default. Passwords are hidden. With',
    'keys, their values alone; --reveal shows them as they are, of `store` also the URL of the embedded one that runs.',
  ].join('\n'),
  examples: [
    { line: 'evt config show', says: 'what is in force here', needs: 'nothing' },
    { line: 'evt config show --origin --json', says: 'with the place of each value, for a script', needs: 'nothing' },
    {
      line: 'evt config show store --reveal',
      says: 'with its password: psql "$(evt config show store --reveal)"',
    },
  ],
  args: { keys: argumentList({ says: 'settings, by their names in the table', optional: true }) },
  options: {
    origin: flag({ says: 'where each value came from; always shown' }),
    reveal: flag({ says: 'passwords of the named settings as they are' }),
    ...storeOptions,
    ...formatOptions,
  },
  async run({ args: { keys }, options: { reveal } }, runtime) {
    const { output, config } = runtime
    if (reveal && keys.length === 0)
      throw new EvtError('usage', 'cannot use --reveal: it is not said what to reveal', {
        hint: 'name it: evt config show store --reveal',
      })
    const wanted = keys.length === 0 ? (Object.keys(configKeys) as ConfigKey[]) : keys.map(keyOf)
    const rows = await Promise.all(wanted.map((key) => (reveal ? revealedRow(key, runtime) : rowOf(key, config))))
    const columns = [
      { head: 'KEY', cell: (row: Row) => row.key },
      { head: 'VALUE', cell: (row: Row) => row.value || '-' },
      { head: 'ORIGIN', cell: (row: Row) => row.origin },
      { head: 'MEANS', cell: (row: Row) => row.says, grows: true as const },
    ]
    output.result({
      data: { settings: rows.map(({ key, value, origin }) => ({ key, value, origin })) },
      meta: { files: config.files, profile: config.profile?.name ?? null },
      render: () =>
        keys.length === 0 ? renderTable(rows, columns, output) : rows.map(({ value }) => value).join('\n'),
    })
    return undefined
  },
})

function keyOf(name: string): ConfigKey {
  const known = Object.keys(configKeys) as ConfigKey[]
  const found = known.find((key) => configKeys[key].name === name)
  if (found) return found
  throw new EvtError('usage', `cannot show ${name}: there is no setting ${name}`, {
    hint:
      suggestion(
        name,
        known.map((key) => configKeys[key].name),
      ) ?? 'evt config show lists them',
  })
}

function rowOf(key: ConfigKey, config: Runtime['config']): Row {
  const { value, origin } = config.get(key)
  return {
    key: configKeys[key].name,
    value: key === 'store' && value === undefined ? 'embedded' : shown(key, value),
    origin,
    says: configKeys[key].says,
  }
}

/** The store as commands find it. Throws `connect` where it is an embedded one and none runs. */
async function revealedRow(key: ConfigKey, runtime: Runtime): Promise<Row> {
  const row = rowOf(key, runtime.config)
  if (key === 'store') {
    const { url, origin, embedded } = await requireStore(runtime)
    return { ...row, value: url, origin: embedded ? origin : row.origin }
  }
  const { value } = runtime.config.get(key)
  return typeof value === 'string' ? { ...row, value } : row
}

/** One key at a time so that value and rule have the same type. */
function shown<K extends ConfigKey>(key: K, value: unknown): string {
  const rule = configKeys[key] as { show?: (value: unknown) => string }
  return rule.show ? rule.show(value) : String(value ?? '')
}
