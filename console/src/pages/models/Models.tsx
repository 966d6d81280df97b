// Models and what they cost: list, new version, history, other names.

import { PlusOutlined } from '@ant-design/icons';
import { App, Button } from 'antd';
import { useState } from 'react';
import { Link } from 'react-router';
import { api, type Schemas } from '../../api/client';
import { listOf, useRefresh } from '../../api/queries';
import { pageUrl } from '../../api/urls';
import { useMay } from '../../auth/session';
import { useLanguage, useTexts } from '../../i18n/language';
import { useErrorWords } from '../../ui/errorWords';
import type { BulkAction } from '../../ui/BulkBar';
import { useConfirm } from '../../ui/confirm';
import { type Column, DataTable } from '../../ui/DataTable';
import { EmptyState } from '../../ui/EmptyState';
import { PageHead } from '../../ui/PageHead';
import type { RowAction } from '../../ui/RowMenu';
import type { Filter } from '../../ui/TableFilters';
import { Status } from '../../ui/Status';
import { formatMoment, Time } from '../../ui/Time';
import { Aliases } from './Aliases';
import { Past } from './Past';
import { usePriceColumns } from './Price';
import { PriceForm } from './PriceForm';
import { modelTexts } from './texts';

type Model = Schemas['ListedModel'];
interface Opened {
  readonly what: 'history' | 'aliases';
  readonly model: string;
}
const source = listOf('/api/models');

export default function Models() {
  const t = useTexts(modelTexts);
  const refresh = useRefresh();
  const mayChange = useMay('operate');
  const [edited, setEdited] = useState<Model | 'new' | null>(null);
  const [opened, setOpened] = useState<Opened | null>(null);
  const again = (): Promise<void> =>
    refresh('/api/models', '/api/models/{model_name}', '/api/models/{model_name}/history');
  const columns = useColumns();
  const filters = useFilters();
  const actions = useActions(again, setEdited, setOpened);
  const bulk = useBulk(again);
  const close = (): void => {
    setOpened(null);
  };
  const create = mayChange ? (
    <Button
      type="primary"
      icon={<PlusOutlined />}
      onClick={() => {
        setEdited('new');
      }}
    >
      {t.create}
    </Button>
  ) : null;
  return (
    <div className="page">
      <PageHead
        title={t.title}
        lead={
          <>
            {t.lead} <Link to={pageUrl('calculator')}>{t.calculator}</Link>
          </>
        }
        actions={create}
      />
      <DataTable
        name="models"
        label={t.title}
        source={source}
        columns={columns}
        filters={filters}
        rowKey={(model) => model.model_name}
        actions={actions}
        {...(mayChange ? { bulk } : {})}
        empty={<EmptyState title={t.emptyTitle} hint={t.emptyHint} action={create} />}
      />
      <PriceForm
        edited={edited}
        onClose={() => {
          setEdited(null);
        }}
        onSaved={again}
      />
      <Past model={opened?.what === 'history' ? opened.model : null} onClose={close} />
      <Aliases model={opened?.what === 'aliases' ? opened.model : null} onClose={close} />
    </div>
  );
}

function useFilters(): readonly Filter[] {
  const t = useTexts(modelTexts);
  return [
    { kind: 'text', name: 'q', label: t.search },
    {
      kind: 'choice',
      name: 'is_active',
      label: t.state,
      options: [
        { value: 'true', label: t.active },
        { value: 'false', label: t.inactive },
      ],
    },
    {
      kind: 'choice',
      name: 'currency',
      label: t.currency,
      options: [
        { value: 'usd', label: t.usdShort },
        { value: 'points', label: t.points },
      ],
    },
  ];
}

function useColumns(): readonly Column<Model>[] {
  const t = useTexts(modelTexts);
  const prices = usePriceColumns<Model>(['input_token_price', 'output_token_price']);
  return [
    {
      key: 'model_name',
      title: t.name,
      sort: 'model_name',
      csv: (model) => model.model_name,
      render: (model) => (
        <span className="cell-two">
          <strong>{model.model_name}</strong>
          {model.aliases.length > 0 ? (
            <small className="clipped" title={model.aliases.join(', ')}>
              {model.aliases.join(', ')}
            </small>
          ) : null}
        </span>
      ),
    },
    ...prices,
    {
      key: 'is_active',
      title: t.state,
      csv: (model) => (model.is_active ? 'active' : 'inactive'),
      render: (model) =>
        model.is_active ? (
          <Status tone="good">{t.active}</Status>
        ) : (
          <Status tone="plain">{t.inactive}</Status>
        ),
    },
    {
      key: 'effective_from',
      title: t.since,
      sort: 'effective_from',
      isHiddenOnPhone: true,
      csv: (model) => model.effective_from,
      render: (model) => <Since of={model} />,
    },
  ];
}

function Since({ of: model }: { readonly of: Model }) {
  const t = useTexts(modelTexts);
  const { language } = useLanguage();
  return (
    <span className="cell-two">
      <Time at={model.effective_from} />
      {model.next_effective_from ? (
        <small>{t.next(formatMoment(new Date(model.next_effective_from), language))}</small>
      ) : null}
    </span>
  );
}

function setActive(model: Model, is_active: boolean) {
  return api.patch('/api/models/{model_name}', {
    path: { model_name: model.model_name },
    body: { is_active },
  });
}

function useActions(
  again: () => Promise<void>,
  onEdit: (model: Model) => void,
  onOpen: (opened: Opened) => void,
): (model: Model) => readonly RowAction[] {
  const t = useTexts(modelTexts);
  const confirm = useConfirm();
  const mayChange = useMay('operate');
  const { message } = App.useApp();
  const wordsOf = useErrorWords();
  const toggle = async (model: Model): Promise<void> => {
    if (model.is_active) {
      const title = t.askDeactivate(model.model_name);
      const question = { title, deed: t.deactivate, canUndo: true };
      if (!(await confirm(question, () => setActive(model, false)))) return;
    } else {
      const result = await setActive(model, true);
      if (!result.ok) {
        message.error(wordsOf(result.error));
        return;
      }
    }
    message.success(t.saved);
    await again();
  };
  const open = (what: Opened['what'], label: string, model: Model): RowAction => ({
    key: what,
    label,
    onPick: () => {
      onOpen({ what, model: model.model_name });
    },
  });
  return (model) => {
    const seen = [open('history', t.history, model), open('aliases', t.aliases, model)];
    if (!mayChange) return seen;
    return [
      {
        key: 'edit',
        label: t.change,
        onPick: () => {
          onEdit(model);
        },
      },
      ...seen,
      {
        key: 'toggle',
        label: model.is_active ? t.deactivate : t.activate,
        isDanger: model.is_active,
        onPick: () => void toggle(model),
      },
    ];
  };
}

function useBulk(onDone: () => Promise<void>): readonly BulkAction<Model>[] {
  const t = useTexts(modelTexts);
  return [
    {
      key: 'on',
      label: t.activate,
      question: (models) => t.askActivateMany(models.length),
      canUndo: true,
      act: (model) => setActive(model, true),
      onDone,
    },
    {
      key: 'off',
      label: t.deactivate,
      isDanger: true,
      question: (models) => t.askDeactivateMany(models.length),
      canUndo: true,
      act: (model) => setActive(model, false),
      onDone,
    },
  ];
}
