import type { CommandName } from '../../src/commands/registry.ts'
import type { Need } from './stores.ts'

/** What each command must do; a command without a case does not compile. */
export interface Case {
  readonly needs: Need
  /** Run with `--json`; one after the other on one database. */
  readonly words: readonly string[]
  readonly exit?: number
  readonly status?: 'pass' | 'fail' | 'error'
  /** Paths of `data`, as scripts rely on them; `[]` stands for the elements of an array. */
  readonly fields: readonly string[]
}

const plan = ['plan', 'plan.count', 'plan.noun', 'plan.samples', 'plan.target', 'plan.verb']

/** It starts servers or needs a running bridge: its `--json` is tested in that file. */
export interface TestedElsewhere {
  readonly file: string
}

export const cases: Readonly<Record<CommandName, Case | TestedElsewhere>> = {
  bench: { file: 'test/bench/cli.test.ts' },
  'capture add': {
    needs: 'application-table',
    words: ['capture', 'add', 'users', '--rule', 'is_active=false:user.suspended', '--mask', 'email', '--json'],
    fields: ['dryRun', 'statements', 'table'],
  },
  'capture list': {
    needs: 'store',
    words: ['capture', 'list', '--json'],
    fields: ['captures'],
  },
  'capture remove': {
    needs: 'application-table',
    words: ['capture', 'remove', 'users', '--dry-run', '--json'],
    fields: plan,
  },
  'config show': {
    needs: 'nothing',
    words: ['config', 'show', '--json'],
    fields: ['settings', 'settings[].key', 'settings[].origin', 'settings[].value'],
  },
  dash: { file: 'test/commands/live.test.ts' },
  demo: { file: 'test/commands/demo.test.ts' },
  'dlq list': {
    needs: 'dead-letter',
    words: ['dlq', 'list', '--json'],
    fields: [
      'causes',
      'causes[].attempts',
      'causes[].cause',
      'causes[].count',
      'causes[].error',
      'causes[].firstAt',
      'causes[].handler',
      'causes[].lastAt',
      'causes[].reason',
      'causes[].returned',
      'causes[].sampleId',
      'causes[].type',
    ],
  },
  'dlq replay': {
    needs: 'dead-letter',
    words: ['dlq', 'replay', '--cause', '3f2a', '--yes', '--json'],
    exit: 5,
    status: 'fail',
    fields: ['asked', 'deadAgain', 'handled', 'left', 'pending', 'replayId', 'replayed', 'skipped', 'verdict', 'why'],
  },
  'dlq show': {
    needs: 'dead-letter',
    words: ['dlq', 'show', '1', '--json'],
    fields: [
      'at',
      'attempts',
      'attempts[].at',
      'attempts[].attempt',
      'attempts[].class',
      'attempts[].durationMs',
      'attempts[].instance',
      'attempts[].message',
      'attempts[].stack',
      'bytes',
      'cause',
      'error',
      'error.class',
      'error.message',
      'event',
      'event.data',
      'event.data.name',
      'event.data.user_id',
      'event.id',
      'event.metadata',
      'event.priority',
      'event.source',
      'event.subject',
      'event.time',
      'event.type',
      'event.version',
      'eventId',
      'firstFailedAt',
      'handler',
      'id',
      'instance',
      'lane',
      'lastFailedAt',
      'onReplay',
      'reason',
      'redrives',
      'replayCount',
      'returned',
      'service',
      'status',
      'subject',
      'topic',
      'type',
      'version',
    ],
  },
  gen: {
    needs: 'store',
    words: ['gen', 'user.created', '--count', '3', '--json'],
    fields: ['accepted', 'asked', 'confirmed', 'refused', 'unknown'],
  },
  'migrate down': {
    needs: 'store',
    words: ['migrate', 'down', '--yes', '--json'],
    fields: ['undone', 'undone[].name', 'undone[].version'],
  },
  'migrate status': {
    needs: 'empty-store',
    words: ['migrate', 'status', '--json'],
    exit: 1,
    status: 'fail',
    fields: ['latest', 'migrations', 'migrations[].name', 'migrations[].state', 'migrations[].version', 'version'],
  },
  'migrate up': {
    needs: 'empty-store',
    words: ['migrate', 'up', '--json'],
    fields: ['applied', 'applied[].name', 'applied[].version'],
  },
  status: {
    needs: 'store',
    words: ['--json'],
    fields: [
      'bridges',
      'deadLetters',
      'elsewhere',
      'head',
      'largestLag',
      'next',
      'profile',
      'sinks',
      'sources',
      'store',
      'store.origin',
      'store.url',
    ],
  },
  tail: {
    needs: 'store',
    words: ['tail', '--since', 'start', '--no-follow', '--report', '--json'],
    fields: ['flows'],
  },
  'token create': {
    needs: 'store',
    words: ['token', 'create', '--scope', 'publish,read', '--types', 'user.*', '--name', 'ci', '--json'],
    fields: ['createdAt', 'createdBy', 'expiresAt', 'id', 'name', 'revokedAt', 'scopes', 'token', 'types', 'usedAt'],
  },
  'token list': {
    needs: 'store',
    words: ['token', 'list', '--json'],
    fields: ['tokens'],
  },
  'token revoke': {
    needs: 'store',
    words: ['token', 'revoke', 'nobody', '--yes', '--json'],
    exit: 2,
    status: 'error',
    fields: [],
  },
  up: { file: 'test/commands/live.test.ts' },
}
