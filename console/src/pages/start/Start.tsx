// The first-run guide: a provider or the demo, a key, a call, and the call seen to arrive.

import { Button, Input } from 'antd';
import { type ReactNode, type SyntheticEvent, useId, useState } from 'react';
import { Link } from 'react-router';
import { api, type Schemas } from '../../api/client';
import type { ApiError } from '../../api/errors';
import { useRead, useRefresh } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useMay } from '../../auth/session';
import { useLanguage, useTexts } from '../../i18n/language';
import { Copyable } from '../../ui/Copyable';
import { ErrorBanner } from '../../ui/ErrorBanner';
import { formatCount } from '../../ui/numbers';
import { PageHead } from '../../ui/PageHead';
import { Status } from '../../ui/Status';
import { Snippets } from '../keys/KeyShown';
import { ProviderForm } from '../providers/ProviderForm';
import { send } from './send';
import { startTexts } from './texts';

type ApiKey = Schemas['ApiKey'];
const DEMO = 'demo/echo';
const EVERY_MS = 1_500;

export default function Start() {
  const t = useTexts(startTexts);
  const [key, setKey] = useState<ApiKey | null>(null);
  const providers = useRead('/api/providers', { query: { limit: 100 } });
  const models = providers.data?.items.find((one) => one.models?.length)?.models;
  const [model, setModel] = useState('');
  const chosen = model || (providers.data?.total === 0 ? DEMO : (models?.[0] ?? 'gpt-4o-mini'));
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} />
      <ol className="steps">
        <ProviderStep names={providers.data?.items.map((one) => one.name) ?? []} />
        <KeyStep made={key} onMade={setKey} />
        {key ? <CallStep secret={key.secret ?? ''} model={chosen} onModel={setModel} /> : null}
        {key ? <WatchStep id={key.id} /> : null}
      </ol>
    </div>
  );
}

function Step(props: {
  readonly title: string;
  readonly isDone?: boolean;
  readonly children: ReactNode;
}) {
  return (
    <li className="step" data-done={props.isDone ?? false}>
      <section>
        <h2>{props.title}</h2>
        {props.children}
      </section>
    </li>
  );
}

function ProviderStep({ names }: { readonly names: readonly string[] }) {
  const t = useTexts(startTexts);
  const refresh = useRefresh();
  const mayAdd = useMay('administer');
  const [isAdding, setIsAdding] = useState(false);
  return (
    <Step title={t.provider} isDone={names.length > 0}>
      <p>{names.length > 0 ? t.providerReady(names.join(', ')) : t.providerDemo}</p>
      {mayAdd ? (
        <Button
          onClick={() => {
            setIsAdding(true);
          }}
        >
          {t.addProvider}
        </Button>
      ) : null}
      <ProviderForm
        edited={isAdding ? 'new' : null}
        onClose={() => {
          setIsAdding(false);
        }}
        onSaved={() => void refresh('/api/providers')}
      />
    </Step>
  );
}

function KeyStep(props: { readonly made: ApiKey | null; readonly onMade: (key: ApiKey) => void }) {
  const t = useTexts(startTexts);
  const id = useId();
  const refresh = useRefresh();
  const [label, setLabel] = useState<string>(t.labelDefault);
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  const make = async (): Promise<void> => {
    setIsBusy(true);
    const result = await api.post('/api/keys', { body: { label } });
    setIsBusy(false);
    setError(result.ok ? null : result.error);
    if (!result.ok) return;
    props.onMade(result.value);
    await refresh('/api/keys');
  };
  const submit = (event: SyntheticEvent): void => {
    event.preventDefault();
    void make();
  };
  return (
    <Step title={t.key} isDone={props.made !== null}>
      <p>{t.keyHint}</p>
      {props.made ? (
        <Copyable text={props.made.secret ?? ''} label={t.key} isBlock />
      ) : (
        <form className="inline-form" onSubmit={submit}>
          <label htmlFor={id}>{t.label}</label>
          <Input
            id={id}
            value={label}
            maxLength={1000}
            onChange={(event) => {
              setLabel(event.target.value);
            }}
          />
          <Button type="primary" htmlType="submit" loading={isBusy}>
            {t.create}
          </Button>
        </form>
      )}
      {error ? <ErrorBanner error={error} /> : null}
    </Step>
  );
}

interface CallProps {
  readonly secret: string;
  readonly model: string;
  readonly onModel: (model: string) => void;
}

function CallStep({ secret, model, onModel }: CallProps) {
  const t = useTexts(startTexts);
  const id = useId();
  const [said, setSaid] = useState<string | null>(null);
  const [error, setError] = useState<ApiError | null>(null);
  const [isBusy, setIsBusy] = useState(false);
  const call = async (): Promise<void> => {
    setIsBusy(true);
    const result = await send(secret, model);
    setIsBusy(false);
    setError(result.ok ? null : result.error);
    setSaid(result.ok ? result.value : null);
  };
  return (
    <Step title={t.call} isDone={said !== null}>
      <p>{t.callHint}</p>
      <div className="inline-form">
        <label htmlFor={id}>{t.model}</label>
        <Input
          id={id}
          value={model}
          onChange={(event) => {
            onModel(event.target.value);
          }}
        />
        <Button type="primary" loading={isBusy} onClick={() => void call()}>
          {t.send}
        </Button>
      </div>
      {error ? <ErrorBanner error={error} /> : null}
      {said === null ? null : (
        <p>
          <span className="muted">{t.answer}:</span> {said}
        </p>
      )}
      <Snippets secret={secret} model={model} />
    </Step>
  );
}

function WatchStep({ id }: { readonly id: string }) {
  const t = useTexts(startTexts);
  const { language } = useLanguage();
  const answer = useRead('/api/usage/overview', { query: { token: id }, everyMs: EVERY_MS });
  const used = answer.data?.today;
  const hasArrived = (used?.uses ?? 0) > 0;
  return (
    <Step title={t.watch} isDone={hasArrived}>
      <div role="status" aria-live="polite">
        {used && hasArrived ? (
          <p>
            <Status tone="good">{t.arrived}</Status>{' '}
            {t.counted(formatCount(used.uses, language), formatCount(used.total_tokens, language))}
          </p>
        ) : (
          <p>
            <span className="spinner-small" aria-hidden="true" /> {t.waiting}
          </p>
        )}
      </div>
      {hasArrived ? (
        <Link className="primary-link" to={pageUrl('overview')}>
          {t.more}
        </Link>
      ) : null}
    </Step>
  );
}
