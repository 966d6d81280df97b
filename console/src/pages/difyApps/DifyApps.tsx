// Dify apps: where each is, who charges for it and by which price, and its tracing.

import { PlusOutlined } from '@ant-design/icons';
import { Button } from 'antd';
import { useState } from 'react';
import { listOf, useRefresh } from '../../api/queries';
import { useMay } from '../../auth/session';
import { useTexts } from '../../i18n/language';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { PageHead } from '../../ui/PageHead';
import { plainPoints } from '../../ui/points';
import { Points } from '../../ui/Points';
import { Status } from '../../ui/Status';
import { AppForm, type DifyApp } from './AppForm';
import { appTexts } from './texts';
import { TracingShown } from './TracingShown';
import { useActions } from './useActions';

const source = listOf('/api/dify/apps');

export default function DifyApps() {
  const t = useTexts(appTexts);
  const refresh = useRefresh();
  const mayAdd = useMay('administer');
  const [edited, setEdited] = useState<DifyApp | 'new' | null>(null);
  const [made, setMade] = useState<DifyApp | null>(null);
  const again = (): Promise<void> => refresh('/api/dify/apps');
  const actions = useActions({ again, onEdit: setEdited, onMade: setMade });
  const columns = useColumns();
  const add = mayAdd ? (
    <Button
      type="primary"
      icon={<PlusOutlined />}
      onClick={() => {
        setEdited('new');
      }}
    >
      {t.add}
    </Button>
  ) : null;
  return (
    <div className="page">
      <PageHead title={t.title} lead={t.lead} actions={add} />
      <DataTable
        name="dify-apps"
        label={t.title}
        source={source}
        columns={columns}
        rowKey={(app) => app.name}
        actions={actions}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} action={add} />}
      />
      <AppForm
        edited={edited}
        onClose={() => {
          setEdited(null);
        }}
        onSaved={(app, isNew) => {
          if (isNew) setMade(app);
          void again();
        }}
      />
      <TracingShown
        made={made}
        onClose={() => {
          setMade(null);
        }}
      />
    </div>
  );
}

function useColumns(): readonly Column<DifyApp>[] {
  const t = useTexts(appTexts);
  return [
    {
      key: 'name',
      title: t.name,
      csv: (app) => app.name,
      render: (app) => (
        <span className="cell-two">
          <strong>{app.name}</strong>
          {app.is_from_settings ? (
            <small title={t.fromSettingsHint}>{t.fromSettings}</small>
          ) : (
            <small>{app.instance}</small>
          )}
        </span>
      ),
    },
    {
      key: 'api_url',
      title: t.apiUrl,
      csv: (app) => app.api_url,
      render: (app) => (
        <span className="cell-two">
          <code>{app.api_url}</code>
          <small title={t.pathHint}>{app.path}</small>
        </span>
      ),
    },
    {
      key: 'state',
      title: t.state,
      csv: (app) => (app.is_active ? 'active' : 'inactive'),
      render: (app) => <State of={app} />,
    },
    {
      key: 'billed_by',
      title: t.billedBy,
      csv: (app) => app.billed_by,
      render: (app) => (app.billed_by === 'gateway' ? t.byGateway : t.byDify),
    },
    {
      key: 'model',
      title: t.model,
      csv: (app) => app.model,
      render: (app) => app.model || <span className="muted">{t.noModel}</span>,
    },
    {
      key: 'hold_points',
      title: t.hold,
      isNumber: true,
      isHiddenOnPhone: true,
      csv: (app) => plainPoints(app.hold_micros),
      render: (app) => <Points micros={app.hold_micros} />,
    },
    {
      key: 'tracing',
      title: t.tracing,
      isHiddenOnPhone: true,
      csv: (app) => app.tracing?.public_key,
      render: (app) =>
        app.tracing ? (
          <code title={app.tracing.public_key}>{shortened(app.tracing.public_key)}</code>
        ) : (
          <span className="muted">{t.noTracing}</span>
        ),
    },
  ];
}

function State({ of: app }: { readonly of: DifyApp }) {
  const t = useTexts(appTexts);
  if (!app.is_active) return <Status tone="plain">{t.inactive}</Status>;
  if (!app.has_api_key) return <Status tone="warn">{t.noApiKey}</Status>;
  return <Status tone="good">{t.active}</Status>;
}

const SHOWN = 12;

function shortened(key: string): string {
  return key.length > SHOWN ? `${key.slice(0, SHOWN)}…` : key;
}
