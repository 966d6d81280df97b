// A form's list in which each entry is a line of fields: to add one, and to take one away.

import { DeleteOutlined, PlusOutlined } from '@ant-design/icons';
import { Button, Form } from 'antd';
import type { FormListProps } from 'antd/es/form';
import type { ReactNode } from 'react';

interface Props {
  /** As the form's values call it. */
  readonly list: string;
  readonly title: string;
  /** What a new line begins with. */
  readonly fresh: object;
  readonly addLabel: string;
  /** For a screen reader, where several lists are added to by the same words. */
  readonly addName?: string;
  readonly removeName: (number: number) => string;
  readonly rules?: FormListProps['rules'];
  readonly note: (lines: number) => ReactNode;
  readonly children: (place: number) => ReactNode;
}

export function LineFields(props: Props) {
  const { list, title, fresh, addLabel, addName, removeName, rules, note, children } = props;
  return (
    <fieldset className="field-list">
      <legend>{title}</legend>
      <Form.List name={list} {...(rules ? { rules } : {})}>
        {(fields, { add, remove }, { errors }) => (
          <>
            {fields.map((field) => (
              <div className="field-row" key={field.key}>
                {children(field.name)}
                <Button
                  type="text"
                  icon={<DeleteOutlined />}
                  aria-label={removeName(field.name + 1)}
                  onClick={() => {
                    remove(field.name);
                  }}
                />
              </div>
            ))}
            <Form.ErrorList errors={errors} />
            <Button
              icon={<PlusOutlined />}
              aria-label={addName}
              onClick={() => {
                add(fresh);
              }}
            >
              {addLabel}
            </Button>
            {note(fields.length)}
          </>
        )}
      </Form.List>
    </fieldset>
  );
}
