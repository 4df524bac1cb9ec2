import { createChance } from './chance.ts'
import { createPeople, type Document, type Person } from './people.ts'

export interface Statement {
  readonly text: string
  readonly values: readonly unknown[]
}

export type Kind = keyof typeof weights

/** One transaction, decided before it runs. */
export interface Applied {
  readonly kind: Kind
  readonly statements: readonly Statement[]
  /** Committing it would be wrong: the writer throws at the end. */
  readonly rollsBack: boolean
  readonly poisoned: boolean
  /** Tells the writer that it was committed. */
  keep(): void
}

const weights = {
  register: 14,
  edit: 28,
  write: 20,
  publish: 8,
  profile: 10,
  login: 10,
  logout: 4,
  setting: 2,
  maintenance: 0.3,
  report: 3,
  upgrade: 0.5,
  suspend: 1.2,
  leave: 1,
} as const

const sum = Object.values(weights).reduce((total, weight) => total + weight, 0)
/** One transaction in this many is rolled back. */
const changesOfMind = 25
/** One login in this many comes from a place that is not the person's own. */
const travels = 20

type Written = Pick<Applied, 'statements'> & { readonly poisoned?: boolean; keep?(): void }

/** Draws one transaction after another from a seed. */
export function createWriter(seed: number, poisonRatio: number): { next(): Applied } {
  const chance = createChance(seed)
  const people = createPeople(chance)
  const poisoned = () => chance.next() < poisonRatio

  const make: Readonly<Record<Kind, () => Written | undefined>> = {
    register() {
      const bad = poisoned()
      const person = people.register(bad)
      return { statements: [insertUser(person), registered(person)], poisoned: bad, keep: () => people.add(person) }
    },
    write: () => {
      const bad = poisoned()
      const document = people.write(bad)
      return (
        document && { statements: [insertDocument(document)], poisoned: bad, keep: () => people.keepDocument(document) }
      )
    },
    edit() {
      const document = people.anyDocument()
      if (!document) return undefined
      const bad = poisoned()
      return {
        statements: [statement(editDocument, document.id, people.content(bad), chance.pick(words))],
        poisoned: bad,
      }
    },
    publish() {
      const document = people.anyDocument()
      return document && { statements: [statement(publishDocument, document.id)] }
    },
    profile() {
      const person = people.any()
      return (
        person && {
          statements: [statement(editUser, person.id, people.name(), chance.pick(['viewer', 'editor', 'admin']))],
        }
      )
    },
    login() {
      const person = people.any()
      if (!person) return undefined
      const session = chance.uuid()
      return {
        statements: [authEvent('auth.login', person, session, chance.below(travels) === 0 ? chance.ip() : person.ip)],
        keep: () => people.login(person, session),
      }
    },
    logout() {
      const person = people.any()
      if (!person?.session) return undefined
      return {
        statements: [authEvent('auth.logout', person, person.session, person.ip)],
        keep: () => people.login(person, undefined),
      }
    },
    setting() {
      const bad = poisoned()
      const key = chance.pick(['icons.cache_ttl', 'icons.page_size', 'icons.max_upload', 'search.limit'])
      const value = bad ? `${chance.below(60)} seconds` : String(10 * (1 + chance.below(60)))
      return { statements: [statement(setSetting, key, value)], poisoned: bad }
    },
    maintenance: () => ({
      statements: [statement(setSetting, 'maintenance_mode', chance.pick(['off', '15m', '30m']))],
    }),
    report: () => ({
      statements: [chance.next() < 0.5 ? healthReport(chance.next()) : performanceReport(chance.next())],
    }),
    upgrade() {
      const some = Array.from({ length: 8 }, () => people.any()?.id).filter((id) => id !== undefined)
      return some.length === 0 ? undefined : { statements: [statement(upgradeUsers, [...new Set(some)])] }
    },
    suspend() {
      const person = people.any()
      return person && { statements: [statement(suspendUser, person.id)], keep: () => people.suspend(person) }
    },
    leave() {
      const person = people.anySuspended() ?? people.any()
      return (
        person && {
          statements: [statement('delete from app.users where id = $1', person.id)],
          keep: () => people.remove(person),
        }
      )
    },
  }
  const drawKind = (): Kind => {
    let left = chance.next() * sum
    for (const kind of Object.keys(weights) as Kind[]) {
      left -= weights[kind]
      if (left < 0) return kind
    }
    return 'register'
  }
  return {
    next() {
      const wanted = drawKind()
      const written = make[wanted]()
      const kind = written ? wanted : 'register'
      const { statements, poisoned: bad = false, keep = () => {} } = written ?? (make.register() as Written)
      return { kind, statements, rollsBack: chance.below(changesOfMind) === 0, poisoned: bad, keep }
    },
  }
}

const words = ['Draft', 'Plan', 'Overview', 'Guide', 'Notes', 'Report']
const statement = (text: string, ...values: readonly unknown[]): Statement => ({ text, values })

const insertUser = ({ id, email, name, plan, country }: Person): Statement =>
  statement(
    `insert into app.users (id, email, name, plan, country) values ($1, $2, $3, $4, $5) on conflict (id) do nothing`,
    ...[id, email, name, plan, country],
  )
const insertDocument = ({ id, owner, title, content }: Document): Statement =>
  statement(
    `insert into app.documents (id, user_id, title, content)
     select $1, id, $3, $4 from app.users where id = $2 and is_active on conflict (id) do nothing`,
    ...[id, owner.id, title, content],
  )
const editDocument = `update app.documents set content = $2, title = split_part(title, ' – ', 1) || ' – ' || $3,
  updated_at = clock_timestamp() where id = $1`
const publishDocument =
  'update app.documents set is_public = true, updated_at = clock_timestamp() where id = $1 and not is_public'
const editUser = 'update app.users set name = $2, role = $3, updated_at = clock_timestamp() where id = $1'
const suspendUser = 'update app.users set is_active = false, updated_at = clock_timestamp() where id = $1'
const upgradeUsers = `update app.users set plan = 'team', updated_at = clock_timestamp() where id = any($1::uuid[]) and plan <> 'team'`
const setSetting = `insert into app.system_settings (key, value) values ($1, $2)
  on conflict (key) do update set value = excluded.value, updated_at = clock_timestamp()`

/** Events that come from no table: written by the application itself, in its own transaction. */
const publish = (type: string, data: unknown, subject: string | null): Statement =>
  statement('select evt.publish($1, $2::json, $3, source => $4)', type, JSON.stringify(data), subject, 'main-backend')

/** The accounts are told by whoever registers people; what the table says of them is captured. */
const registered = ({ id, email, country }: Person): Statement => {
  const [username] = email.split('@')
  const data = { user_id: id, username, email, roles: ['viewer'], registered_by: 'self_service', country }
  return publish('user.registered', data, `user/${id}`)
}
const authEvent = (type: string, person: Person, session: string, ip: string): Statement =>
  publish(
    type,
    { user_id: person.id, auth_data: { session_id: session, ip, user_agent: 'Mozilla/5.0 (demo)' } },
    `user/${person.id}`,
  )

const healthReport = (draw: number): Statement => {
  const status = draw < 0.9 ? 'ok' : 'degraded'
  const data = { system_data: { service: 'icon-service', status, checks: [{ name: 'database', status }] } }
  return publish('system.health_reported', data, null)
}
const performanceReport = (draw: number): Statement => {
  const duration_ms = Math.round(draw * draw * 40_000) / 100
  const memory_bytes = 33_554_432 + Math.floor(draw * 8_388_608)
  const data = { system_data: { service: 'icon-service', operation: 'render', duration_ms, memory_bytes } }
  return publish('system.performance_reported', data, null)
}
