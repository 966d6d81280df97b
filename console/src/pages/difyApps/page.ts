import { MessageOutlined } from '@ant-design/icons';
import { definePage } from '../registry';

export default definePage({
  name: 'difyApps',
  title: { en: 'Dify apps', 'zh-CN': 'Dify 应用', 'zh-TW': 'Dify 應用程式' },
  icon: MessageOutlined,
  group: 'traffic',
  order: 75,
  need: 'read',
  load: () => import('./DifyApps'),
});
