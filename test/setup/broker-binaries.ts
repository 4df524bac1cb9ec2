import { execFile } from 'node:child_process'
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { findProgram, isProgramHere } from './find-program.ts'

const run = promisify(execFile)

export const kafkaVersion = '4.1.1'

export function findRedis(): string | undefined {
  return findProgram('redis-server')
}

export interface RabbitPrograms {
  readonly server: string
  readonly ctl: string
  readonly epmd: string
}

/** Debian's programs in /usr/sbin change to the user `rabbitmq` and lose the environment: the real ones lie behind them. */
export function findRabbit(): RabbitPrograms | undefined {
  const folders = ['/usr/lib/rabbitmq/bin', '/opt/rabbitmq/sbin', '/opt/homebrew/sbin', '/usr/local/sbin']
  const [server, ctl] = [findProgram('rabbitmq-server', folders), findProgram('rabbitmqctl', folders)]
  const epmd = findProgram('epmd', ['/usr/bin', '/usr/lib/erlang/bin', '/opt/homebrew/bin'])
  return server && ctl && epmd ? { server, ctl, epmd } : undefined
}

export interface KafkaPrograms {
  readonly java: string
  /** The folder with Kafka's jars. */
  readonly jars: string
}

export function kafkaCache(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), '.cache'), 'evt', `kafka-${kafkaVersion}`)
}

/** Without jars in the cache Maven is enough: `installKafka` fetches them. */
export function findKafka(): KafkaPrograms | undefined {
  const java = findProgram('java', process.env.JAVA_HOME ? [join(process.env.JAVA_HOME, 'bin')] : [])
  const jars = join(kafkaCache(), 'jars')
  if (!java || javaVersion(java) < oldestJava || !(existsSync(jars) || isProgramHere('mvn'))) return undefined
  return { java, jars }
}

/** For Kafka 4. */
const oldestJava = 17

/** Read from the file that lies in every Java's home; where there is none, Java is believed to be new enough. */
function javaVersion(java: string): number {
  try {
    const release = readFileSync(join(realpathSync(java), '..', '..', 'release'), 'utf8')
    return Number(/JAVA_VERSION="(\d+)/.exec(release)?.[1] ?? oldestJava)
  } catch {
    return oldestJava
  }
}

/** Fetches the jars from Maven Central once per machine (43 MB); safe when two runs do it at once. */
export async function installKafka(): Promise<void> {
  const cache = kafkaCache()
  if (existsSync(join(cache, 'jars'))) return
  process.stderr.write(`fetching Kafka ${kafkaVersion} from Maven Central, once per machine …\n`)
  const work = `${cache}.${process.pid}`
  mkdirSync(work, { recursive: true })
  try {
    writeFileSync(join(work, 'pom.xml'), pom)
    const args = ['-q', '-B', 'dependency:copy-dependencies', `-DoutputDirectory=${join(work, 'jars')}`]
    await run('mvn', args, { cwd: work, timeout: 300_000 })
    publish(work, cache)
  } catch (error) {
    throw new Error(`Maven cannot fetch Kafka: ${(error as { stdout?: unknown }).stdout ?? ''}`, { cause: error })
  } finally {
    rmSync(work, { recursive: true, force: true })
  }
}

/** Somebody who was quicker has the same jars. */
function publish(work: string, cache: string): void {
  try {
    renameSync(work, cache)
  } catch (error) {
    if (!readdirSync(join(cache, 'jars')).length) throw error
  }
}

// slf4j-simple: without a binding Kafka says nothing, also when it cannot start.
const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>evt</groupId><artifactId>test-kafka</artifactId><version>1</version>
  <dependencies>
    <dependency><groupId>org.apache.kafka</groupId><artifactId>kafka_2.13</artifactId><version>${kafkaVersion}</version></dependency>
    <dependency><groupId>org.slf4j</groupId><artifactId>slf4j-simple</artifactId><version>1.7.36</version></dependency>
  </dependencies>
</project>
`
