import { InboxOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'deadLetters',
  title: { en: 'Dead letters', 'zh-CN': '死信', 'zh-TW': '死信' },
  icon: InboxOutlined,
  group: 'money',
  order: 80,
  need: 'read',
  load: () => import('./DeadLetters'),
});
