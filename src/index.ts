// The library: everything that an application or a service needs, by name. Importing it loads no driver.
export {
  type Bridge,
  type BridgeOptions,
  type BridgeRole,
  createBridge,
  type PrivateRegistry,
  type WithPrivacyOptions,
  withPrivacy,
} from './bridge.ts'
export type { BusHealth } from './bus-health.ts'
export { defineConfig } from './config/define-config.ts'
export type { EvtConfig } from './config/schema.ts'
export type { AlertRule, EventCondition, EventSelector, Severity } from './core/alerts/alert-rule.ts'
export type { DialectName } from './core/codec.ts'
export type { Contract } from './core/contract.ts'
export { type Breaking, type ContractChange, diffContracts } from './core/contract-diff.ts'
export { type SchemaFile, schemaFile } from './core/contract-schemas.ts'
export { type DefineEventOptions, defineEvent, type EventContract, type Upcasted } from './core/define-event.ts'
export { type ErrorCode, EvtError, type EvtErrorOptions } from './core/errors.ts'
export type { EvtEvent, NewEvent, Priority } from './core/event.ts'
export type { HttpOptions } from './core/http-options.ts'
export { type SensitiveOptions, sensitive } from './core/json-shape.ts'
export type { Layout } from './core/layout.ts'
export type { Detection, PrivacyOptions } from './core/privacy-options.ts'
export { pseudonymOf } from './core/pseudonym.ts'
export type { PublishOptions } from './core/publish-options.ts'
export { createRegistry, type Registry } from './core/registry.ts'
export type { RetentionOptions } from './core/retention.ts'
export type { ScenarioDefinition, ScenarioStep } from './core/scenario.ts'
export type { SinkOptions, SourceOptions } from './core/sinks-and-sources.ts'
export { createPublisher } from './create-publisher.ts'
export { createEventBus, type EventBus, type EventBusOptions } from './event-bus.ts'
export { defineScenario } from './generators/scenario/define-scenario.ts'
export { type AnnouncementOptions, defineAnnouncement } from './handle/define-announcement.ts'
export { defineBatchHandler } from './handle/define-batch-handler.ts'
export { defineHandler } from './handle/define-handler.ts'
export { defineService, type ServiceContext, type ServiceDefinition, type ServiceSql } from './handle/define-service.ts'
export type {
  AnyHandlerDefinition,
  BatchHandlerDefinition,
  BreakerOptions,
  Handled,
  HandlerContext,
  HandlerDefinition,
  HandlerLog,
  HandlerSql,
  Middleware,
  RetryPolicy,
  SubscribeOptions,
} from './handle/handler.ts'
export type { Projection } from './handle/projection.ts'
export type { ProcessingResult, ResultObserver } from './handle/results.ts'
export type { Saga } from './handle/saga.ts'
export type { Subscribing } from './handle/subscribing.ts'
export type { PublishOutcome } from './publish/outcome.ts'
export type { PublishedAll } from './publish/publish-all.ts'
export type { Publisher, PublisherOptions } from './publish/publisher-to-store.ts'
export { type EventFields, type Publishers, publishersOf } from './publish/publishers-of.ts'
export type { DirectPublisher, DirectPublisherOptions } from './publisher-to-broker.ts'
export { createEventStore, type EventStoreOptions } from './replay/create-event-store.ts'
export {
  defineProjection,
  type ProjectionConfig,
  type ProjectionContext,
  type ProjectionOptions,
} from './replay/define-projection.ts'
export type { AppendedEvent, AppendSql, EventStore } from './replay/event-store.ts'
export { defineSaga } from './sagas/define-saga.ts'
export type { SagaContext, SagaKey, SagaOptions, Stage, StepMaker, StepOptions } from './sagas/saga.ts'
export type { CaptureOptions } from './store/capture/config.ts'
export type { Store } from './store/connection.ts'
export { type EraseSubjectOptions, eraseSubject } from './store/erase-subject.ts'
export { type OpenStoreOptions, openStore } from './store/open-shared-store.ts'
export type { SqlExecutor } from './transports/transport.ts'
export {
  type Analytics,
  type AnalyticsOptions,
  type Popular,
  readAnalytics,
  type TypeRate,
  type UserBehaviour,
} from './watch/analytics/read-analytics.ts'
export {
  type CoordinatorOptions,
  createPerformanceCoordinator,
  type PerformanceCoordinator,
  type PerformanceData,
  type PhaseOptions,
  type PhaseTimes,
} from './watch/phases/performance-coordinator.ts'
export {
  createValidationMonitor,
  type ValidationMonitor,
  type ValidationReport,
} from './watch/phases/validation-monitor.ts'
export type { PublisherSample } from './watch/publisher-sample.ts'
export type { TracingOptions } from './watch/tracing/current.ts'
